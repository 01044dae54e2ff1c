internal import ATOF

/// Members that are left out when they have no value.
extension JSONSink where Self: ~Copyable {
    mutating func member(_ key: StaticString, _ value: JSONValue?) {
        guard let value else { return }
        self.key(key)
        write(value)
    }

    mutating func member(_ key: StaticString, _ object: JSONObject?) {
        guard let object else { return }
        self.key(key)
        write(object)
    }

    mutating func member(_ key: StaticString, _ text: String?) {
        guard let text else { return }
        self.key(key)
        write(text)
    }

    mutating func member(_ key: StaticString, _ number: Int64?) {
        guard let number else { return }
        self.key(key)
        write(number)
    }

    mutating func member(_ key: StaticString, _ count: UInt64?) {
        guard let count else { return }
        self.key(key)
        write(count)
    }

    mutating func member(_ key: StaticString, _ number: Double?) {
        guard let number else { return }
        self.key(key)
        write(number)
    }

    mutating func member(_ key: StaticString, _ uuid: EventUUID?) {
        guard let uuid else { return }
        self.key(key)
        write(uuid)
    }

    mutating func member(_ key: StaticString, _ time: EventTime?) {
        guard let time else { return }
        self.key(key)
        write(time)
    }

    mutating func member(_ key: StaticString, _ payload: JSONDraft.Payload?) {
        guard let payload else { return }
        self.key(key)
        write(payload)
    }
}
