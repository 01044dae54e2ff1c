internal import Projections

/// Attributes as OTLP KeyValue messages (`proto/skein/v1/otlp.proto`).
enum AttributeEncoder {
    /// Of all attributes, each as the field `field` of the message around them.
    static func size(_ attributes: [Attribute], field: Int) -> Int {
        var size = 0
        // By index, here and below: an iterator would copy each attribute, and so count its texts.
        for index in attributes.indices {
            let key = ProtobufSize.text(1, attributes[index].key)
            size += ProtobufSize.nested(field, key + ProtobufSize.nested(2, valueSize(attributes[index].value)))
        }
        return size
    }

    static func write(_ attributes: [Attribute], field: Int, _ writer: inout ProtobufWriter) {
        for index in attributes.indices {
            let value = valueSize(attributes[index].value)
            writer.length(field, ProtobufSize.text(1, attributes[index].key) + ProtobufSize.nested(2, value))
            writer.text(1, attributes[index].key)
            writer.length(2, value)
            write(attributes[index].value, &writer)
        }
    }

    // An AnyValue holds exactly one of its fields, and holds it also when it is empty or zero.

    private static func valueSize(_ value: AttributeValue) -> Int {
        switch value {
        case .string(let text): ProtobufSize.text(1, text)
        case .bool: 2
        case .int(let number): 1 + ProtobufSize.varint(UInt64(bitPattern: number))
        case .double: 9
        case .strings, .bools, .ints, .doubles: ProtobufSize.nested(5, arraySize(value))
        }
    }

    private static func arraySize(_ value: AttributeValue) -> Int {
        elements(of: value).reduce(0) { $0 + ProtobufSize.nested(1, valueSize($1)) }
    }

    private static func elements(of value: AttributeValue) -> [AttributeValue] {
        switch value {
        case .strings(let texts): texts.map { .string($0) }
        case .bools(let flags): flags.map { .bool($0) }
        case .ints(let numbers): numbers.map { .int($0) }
        case .doubles(let numbers): numbers.map { .double($0) }
        case .string, .bool, .int, .double: []
        }
    }

    private static func write(_ value: AttributeValue, _ writer: inout ProtobufWriter) {
        switch value {
        case .string(let text): writer.text(1, text)
        case .bool(let flag):
            writer.tag(2, .varint)
            writer.varint(flag ? 1 : 0)
        case .int(let number):
            writer.tag(3, .varint)
            writer.varint(UInt64(bitPattern: number))
        case .double(let number): writer.fixed64(4, number.bitPattern)
        case .strings, .bools, .ints, .doubles:
            writer.length(5, arraySize(value))
            for element in elements(of: value) {
                writer.length(1, valueSize(element))
                write(element, &writer)
            }
        }
    }
}
