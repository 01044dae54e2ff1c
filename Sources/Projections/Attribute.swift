package import ATOF

/// One attribute of a span or span event.
package struct Attribute: Sendable, Hashable {
    package let key: String
    package let value: AttributeValue

    package init(_ key: String, _ value: AttributeValue) {
        self.key = key
        self.value = value
    }

    init(_ key: String, _ text: String) {
        self.init(key, .string(text))
    }
}

/// The kinds of OTLP's AnyValue that spans use.
package enum AttributeValue: Sendable, Hashable {
    case string(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case strings([String])
    case bools([Bool])
    case ints([Int64])
    case doubles([Double])

    /// The scalar rule (`otel-projections.md` 2.4): structure becomes its JSON text, null becomes nothing.
    package init?(scalar value: JSONValue) {
        switch value {
        case .null: return nil
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(number)
        case .unsigned(let number): self = .string(String(number))
        case .double(let number): self = .double(number)
        case .string(let text): self = .string(text)
        case .array, .object: self = .string(value.compactText)
        }
    }

    /// What was promoted, as it was.
    var json: JSONValue {
        switch self {
        case .string(let text): .string(text)
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .double(let number): .double(number)
        case .strings(let list): .array(list.map { .string($0) })
        case .bools(let list): .array(list.map { .bool($0) })
        case .ints(let list): .array(list.map { .int($0) })
        case .doubles(let list): .array(list.map { .double($0) })
        }
    }

    /// Lists as the scalar rule has them.
    var scalar: AttributeValue {
        switch self {
        case .string, .bool, .int, .double: self
        case .strings, .bools, .ints, .doubles: .string(json.compactText)
        }
    }
}

extension [Attribute] {
    /// Hands the attributes over: this list is empty then.
    mutating func takeAll() -> [Attribute] {
        var taken: [Attribute] = []
        swap(&taken, &self)
        return taken
    }

    func contains(key: String) -> Bool { contains { $0.key == key } }

    /// Adds the attributes whose keys are not here. Producers choose how many there are, so the keys are hashed.
    mutating func appendNew(_ additions: [Attribute]) {
        if additions.isEmpty { return }
        var taken = Set(map(\.key))
        for attribute in additions where taken.insert(attribute.key).inserted { append(attribute) }
    }

    /// Those whose keys the others have not. Few are compared one by one, which is faster than to hash them.
    func without(keysOf others: [Attribute]) -> [Attribute] {
        if count * others.count <= 256 { return filter { !others.contains(key: $0.key) } }
        let keys = Set(others.map(\.key))
        return filter { !keys.contains($0.key) }
    }

    /// `P(prefix, v)` of the specification (2.4).
    mutating func append(_ prefix: String, _ fields: PayloadFields) {
        switch fields {
        case .none: break
        case .single(let value): append(Attribute(prefix, value))
        case .members(let members):
            reserveCapacity(count + members.count)
            for member in members { append(Attribute(String(joining: prefix, member.key), member.value)) }
        }
    }

    mutating func append(_ key: String, text: String?) {
        if let text { append(Attribute(key, text)) }
    }

    mutating func append(_ key: String, string value: JSONValue?) {
        if let text = value?.stringValue { append(Attribute(key, text)) }
    }
}

/// A payload by the scalar rule, made once for all prefixes under which it is exported.
enum PayloadFields {
    case none
    case single(AttributeValue)
    case members([Attribute])

    init(_ payload: JSONValue?) {
        switch payload {
        case nil: self = .none
        case .object(let object):
            var members: [Attribute] = []
            members.reserveCapacity(object.count)
            for member in object {
                if let value = AttributeValue(scalar: member.value) { members.append(Attribute(member.key, value)) }
            }
            self = .members(members)
        case let value?: self = AttributeValue(scalar: value).map { .single($0) } ?? .none
        }
    }
}

extension String {
    /// A number between two texts, in one allocation.
    init(numbered first: String, _ number: Int, _ rest: String) {
        let digits = String(number)
        self.init(knownUTF8Capacity: first.utf8.count + digits.utf8.count + rest.utf8.count) { buffer in
            buffer.write(rest, at: buffer.write(digits, at: buffer.write(first, at: 0)))
        }
    }

    /// Two names with a dot between them, in one allocation.
    init(joining first: String, _ second: String) {
        self.init(knownUTF8Capacity: first.utf8.count + 1 + second.utf8.count) { buffer in
            let dot = buffer.write(first, at: 0)
            buffer.initializeElement(at: dot, to: UInt8(ascii: "."))
            return buffer.write(second, at: dot + 1)
        }
    }
}

extension UnsafeMutableBufferPointer<UInt8> {
    /// - Returns: where the text ends.
    fileprivate func write(_ text: String, at start: Int) -> Int {
        text.withBorrowedUTF8 { utf8 in
            _ = UnsafeMutableBufferPointer(rebasing: self[start...]).initialize(fromContentsOf: utf8)
            return start + utf8.count
        }
    }
}
