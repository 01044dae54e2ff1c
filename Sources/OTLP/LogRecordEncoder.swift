package import ATOF
internal import CProtobufC
internal import CSkeinProto
package import Projections

/// Writes log records as packed OTLP LogRecord messages.
package enum LogRecordEncoder {
    /// - Returns: the body of the message, without a tag: what an export request holds behind field 2 of ScopeLogs.
    package static func encode(_ record: ProjectedLogRecord) -> [UInt8] {
        let attributes = record.attributes.map { AnyValueEncoder.keyValueSize($0.key, $0.value) }
        let body = record.body.map(AnyValueEncoder.size)
        return ProtobufWriter.bytes(size(record, attributes: attributes, body: body)) { writer in
            if record.time != 0 { writer.fixed64(1, record.time) }
            writer.tag(2, .varint)
            writer.varint(UInt64(record.severity.rawValue))
            writer.text(3, record.severity.text)
            if let value = record.body, let body {
                writer.length(5, body)
                AnyValueEncoder.write(value, &writer)
            }
            for (attribute, size) in zip(record.attributes, attributes) {
                writer.length(6, size)
                AnyValueEncoder.writeKeyValue(attribute.key, attribute.value, &writer)
            }
            if let context = record.context {
                // Sampled, as all spans are.
                writer.fixed32(8, 1)
                writer.identifier(9, context.traceID.high, context.traceID.low)
                writer.identifier(10, context.spanID)
            }
            if record.observedTime != 0 { writer.fixed64(11, record.observedTime) }
        }
    }

    private static func size(_ record: ProjectedLogRecord, attributes: [Int], body: Int?) -> Int {
        var size = (record.time == 0 ? 0 : 9) + 2 + ProtobufSize.text(3, record.severity.text)
        if let body { size += ProtobufSize.nested(5, body) }
        for attribute in attributes { size += ProtobufSize.nested(6, attribute) }
        if record.context != nil { size += 5 + 18 + 10 }
        return size + (record.observedTime == 0 ? 0 : 9)
    }

    /// Whether the bytes are an encoded record, and its trace if it has one.
    package static func trace(ofEncoded bytes: [UInt8]) -> (isRecord: Bool, traceID: EventUUID?) {
        guard let record = skein__v1__otlp__log_record__unpack(nil, bytes.count, bytes) else { return (false, nil) }
        defer { skein__v1__otlp__log_record__free_unpacked(record, nil) }
        let id = record.pointee.trace_id
        return (
            true, EventUUID(bytes: Array(UnsafeBufferPointer(start: id.data, count: id.data == nil ? 0 : id.len)))
        )
    }
}
