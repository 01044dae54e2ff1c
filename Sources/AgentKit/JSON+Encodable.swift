internal import ATOF
public import AgentEvents
internal import Foundation

extension JSON {
    /// The JSON form of a Swift value, the one that `JSONEncoder` gives by default: a URL is its text, `Decimal` a number, with the precision
    /// of `Double` where it is no integer, `Data` base64, and a `Date` the seconds since 2001. Keys are sorted.
    ///
    /// - Throws: what the value throws.
    public init(encoding value: some Encodable) throws {
        let target = EncodingTarget()
        try target.encode(value, at: [])
        self.init(target.value)
    }
}

/// Where an encoder puts its value. Containers share it with what they contain, so it is a class; encoding stays on one task.
private final class EncodingTarget {
    private enum Content {
        case none
        case value(JSONValue)
        case members([(String, EncodingTarget)])
        case elements([EncodingTarget])
    }

    private var content = Content.none

    var value: JSONValue {
        switch content {
        case .none: .null
        case .value(let value): value
        case .members(let members): .object(JSONObject(members.map { ($0.0, $0.1.value) }))
        case .elements(let elements): .array(elements.map(\.value))
        }
    }

    var count: Int { if case .elements(let elements) = content { elements.count } else { 0 } }

    func set(_ value: JSONValue) { content = .value(value) }

    func beginMembers() { if case .members = content {} else { content = .members([]) } }

    func beginElements() { if case .elements = content {} else { content = .elements([]) } }

    func member(_ key: String) -> EncodingTarget {
        let target = EncodingTarget()
        if case .members(var members) = content {
            members.append((key, target))
            content = .members(members)
        } else {
            content = .members([(key, target)])
        }
        return target
    }

    func element() -> EncodingTarget {
        let target = EncodingTarget()
        if case .elements(var elements) = content {
            elements.append(target)
            content = .elements(elements)
        } else {
            content = .elements([target])
        }
        return target
    }

    /// A value of any type: plain ones at once, others by their own description.
    func encode(_ value: some Encodable, at path: [any CodingKey]) throws {
        switch value {
        case let value as JSON: set(value.value)
        case let value as Bool: set(.bool(value))
        case let value as String: set(.string(value))
        case let value as Double: set(.double(value))
        case let value as Float: set(.double(Double(value)))
        case let value as any BinaryInteger: set(JSON(value).value)
        case let value as URL: set(.string(value.absoluteString))
        case let value as Data: set(.string(value.base64EncodedString()))
        case let value as Decimal: set(EncodingTarget.number(value))
        default: try value.encode(to: JSONValueEncoder(target: self, codingPath: path))
        }
    }
}

extension EncodingTarget {
    fileprivate static func number(_ decimal: Decimal) -> JSONValue {
        let text = "\(decimal)"
        return Int64(text).map { .int($0) } ?? UInt64(text).map { .unsigned($0) } ?? .double(Double(text) ?? .nan)
    }
}

private struct JSONValueEncoder: Encoder {
    let target: EncodingTarget
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        target.beginMembers()
        return KeyedEncodingContainer(KeyedContainer<Key>(target: target, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        target.beginElements()
        return UnkeyedContainer(target: target, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleContainer(target: target, codingPath: codingPath)
    }
}

private struct KeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let target: EncodingTarget
    let codingPath: [any CodingKey]

    mutating func encodeNil(forKey key: Key) throws { target.member(key.stringValue).set(.null) }

    mutating func encode(_ value: some Encodable, forKey key: Key) throws {
        try target.member(key.stringValue).encode(value, at: codingPath + [key])
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        nested(key).container(keyedBy: keyType)
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(key).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder {
        JSONValueEncoder(target: target.member("super"), codingPath: codingPath)
    }

    mutating func superEncoder(forKey key: Key) -> any Encoder { nested(key) }

    private func nested(_ key: Key) -> JSONValueEncoder {
        JSONValueEncoder(target: target.member(key.stringValue), codingPath: codingPath + [key])
    }
}

private struct UnkeyedContainer: UnkeyedEncodingContainer {
    let target: EncodingTarget
    let codingPath: [any CodingKey]
    var count: Int { target.count }

    mutating func encodeNil() throws { target.element().set(.null) }

    mutating func encode(_ value: some Encodable) throws { try target.element().encode(value, at: codingPath) }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
        JSONValueEncoder(target: target.element(), codingPath: codingPath).container(keyedBy: keyType)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        JSONValueEncoder(target: target.element(), codingPath: codingPath).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder {
        JSONValueEncoder(target: target.element(), codingPath: codingPath)
    }
}

private struct SingleContainer: SingleValueEncodingContainer {
    let target: EncodingTarget
    let codingPath: [any CodingKey]

    mutating func encodeNil() throws { target.set(.null) }

    mutating func encode(_ value: some Encodable) throws { try target.encode(value, at: codingPath) }
}

extension JSON: Encodable {
    /// The value with any encoder; numbers keep their type.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch value {
        case .null: try container.encodeNil()
        case .bool(let flag): try container.encode(flag)
        case .int(let number): try container.encode(number)
        case .unsigned(let number): try container.encode(number)
        case .double(let number): try container.encode(number)
        case .string(let text): try container.encode(text)
        case .array(let elements): try container.encode(elements.map { JSON($0) })
        case .object(let object):
            try container.encode(
                Dictionary(object.map { ($0.key, JSON($0.value)) }, uniquingKeysWith: { $1 }))
        }
    }
}
