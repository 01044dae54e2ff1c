/// Takes a JSON value piece by piece. What describes itself to a sink is written as text without being made, and the same description makes
/// its value.
package protocol JSONSink: ~Copyable {
    /// The members follow, in the order of their keys.
    mutating func beginObject()
    /// Comes before the value of a member. The key needs no escapes.
    mutating func key(_ key: StaticString)
    mutating func endObject()

    mutating func beginArray()
    /// Comes before each element of an array.
    mutating func element()
    mutating func endArray()

    mutating func write(_ value: JSONValue)
    mutating func write(_ object: JSONObject)
    mutating func write(_ text: String)
    mutating func write(_ number: Int64)
    mutating func write(_ number: UInt64)
    mutating func write(_ number: Double)
    mutating func write(_ uuid: EventUUID)
    mutating func write(_ time: EventTime)
    mutating func write(_ payload: JSONDraft.Payload)
}

/// Elements of an array that describe themselves when it is written.
package protocol JSONElements: Sendable {
    var count: Int { get }
    func write(_ index: Int, to writer: inout JSONWriter)
    func write(_ index: Int, to builder: inout JSONValueBuilder)
}

/// Makes the value that is described.
package struct JSONValueBuilder: JSONSink {
    /// A list that has not ended.
    private struct Open {
        /// Of the member whose value comes next; nil in an array.
        var key: String?
        var members: [JSONObject.Member] = []
        var elements: [JSONValue] = []
    }

    private var open: [Open] = []
    /// The value when all of it was described.
    package private(set) var value: JSONValue = .null

    package init() {}

    package mutating func beginObject() { open.append(Open()) }
    package mutating func key(_ key: StaticString) { open[open.count - 1].key = key.description }
    package mutating func endObject() { write(.object(JSONObject(unordered: open.removeLast().members))) }
    package mutating func beginArray() { open.append(Open()) }
    package mutating func element() {}
    package mutating func endArray() { write(.array(open.removeLast().elements)) }

    package mutating func write(_ value: JSONValue) {
        guard let last = open.indices.last else {
            self.value = value
            return
        }
        if let key = open[last].key {
            open[last].members.append(JSONObject.Member(key: key, value: value))
        } else {
            open[last].elements.append(value)
        }
    }

    package mutating func write(_ object: JSONObject) { write(.object(object)) }
    package mutating func write(_ text: String) { write(.string(text)) }
    package mutating func write(_ number: Int64) { write(.int(number)) }
    package mutating func write(_ number: UInt64) {
        write(Int64(exactly: number).map { .int($0) } ?? .unsigned(number))
    }

    package mutating func write(_ number: Double) { write(.double(number)) }
    package mutating func write(_ uuid: EventUUID) { write(.string(uuid.description)) }
    package mutating func write(_ time: EventTime) { write(.string(time.rfc3339)) }
    package mutating func write(_ payload: JSONDraft.Payload) { write(payload.value) }
}
