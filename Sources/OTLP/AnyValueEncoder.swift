internal import ATOF

/// Any JSON value as OTLP AnyValue (`otel-projections.md` 5.1): objects are kvlists, a null is the text `null`, integers that need all of 64
/// bits are texts.
enum AnyValueEncoder {
    static func size(_ value: JSONValue) -> Int {
        switch value {
        case .null: ProtobufSize.text(1, "null")
        case .bool: 2
        case .int(let number): 1 + ProtobufSize.varint(UInt64(bitPattern: number))
        case .unsigned(let number): ProtobufSize.text(1, String(number))
        case .double: 9
        case .string(let text): ProtobufSize.text(1, text)
        case .array(let elements): ProtobufSize.nested(5, arraySize(elements))
        case .object(let object): ProtobufSize.nested(6, objectSize(object))
        }
    }

    static func keyValueSize(_ key: String, _ value: JSONValue) -> Int {
        (key.isEmpty ? 0 : ProtobufSize.text(1, key)) + ProtobufSize.nested(2, size(value))
    }

    private static func arraySize(_ elements: [JSONValue]) -> Int {
        elements.reduce(0) { $0 + ProtobufSize.nested(1, size($1)) }
    }

    private static func objectSize(_ object: JSONObject) -> Int {
        object.reduce(0) { $0 + ProtobufSize.nested(1, keyValueSize($1.key, $1.value)) }
    }

    static func write(_ value: JSONValue, _ writer: inout ProtobufWriter) {
        switch value {
        case .null: writer.text(1, "null")
        case .bool(let flag):
            writer.tag(2, .varint)
            writer.varint(flag ? 1 : 0)
        case .int(let number):
            writer.tag(3, .varint)
            writer.varint(UInt64(bitPattern: number))
        case .unsigned(let number): writer.text(1, String(number))
        case .double(let number): writer.fixed64(4, number.bitPattern)
        case .string(let text): writer.text(1, text)
        case .array(let elements):
            writer.length(5, arraySize(elements))
            for element in elements {
                writer.length(1, size(element))
                write(element, &writer)
            }
        case .object(let object):
            writer.length(6, objectSize(object))
            for member in object {
                writer.length(1, keyValueSize(member.key, member.value))
                writeKeyValue(member.key, member.value, &writer)
            }
        }
    }

    static func writeKeyValue(_ key: String, _ value: JSONValue, _ writer: inout ProtobufWriter) {
        if !key.isEmpty { writer.text(1, key) }
        writer.length(2, size(value))
        write(value, &writer)
    }
}
