package import ATOF
internal import CProtobufC
internal import CSkeinProto
package import Projections

/// Writes spans as packed OTLP Span messages.
package enum SpanEncoder {
    /// - Returns: the body of the message, without a tag: what an export request holds behind field 2 of ScopeSpans.
    package static func encode(_ span: ProjectedSpan) -> [UInt8] {
        let events = span.events.map(eventSize)
        let status = statusSize(span.status)
        return ProtobufWriter.bytes(size(span, events: events, status: status)) { writer in
            let context = span.context
            writer.identifier(1, context.traceID.high, context.traceID.low)
            writer.identifier(2, context.spanID)
            if let parent = context.parentSpanID { writer.identifier(4, parent) }
            if !span.name.isEmpty { writer.text(5, span.name) }
            writer.tag(6, .varint)
            writer.varint(UInt64(span.kind.rawValue))
            if span.startTime != 0 { writer.fixed64(7, span.startTime) }
            if span.endTime != 0 { writer.fixed64(8, span.endTime) }
            AttributeEncoder.write(span.attributes, field: 9, &writer)
            for (event, size) in zip(span.events, events) {
                writer.length(11, size)
                write(event, &writer)
            }
            if span.droppedEvents > 0 {
                writer.tag(12, .varint)
                writer.varint(UInt64(span.droppedEvents))
            }
            write(span.status, size: status, &writer)
            writer.fixed32(16, context.flags)
        }
    }

    /// The trace of an encoded span; nil when the bytes are none.
    package static func traceID(ofEncoded bytes: [UInt8]) -> EventUUID? {
        guard let span = skein__v1__otlp__span__unpack(nil, bytes.count, bytes) else { return nil }
        defer { skein__v1__otlp__span__free_unpacked(span, nil) }
        let id = span.pointee.trace_id
        return EventUUID(bytes: Array(UnsafeBufferPointer(start: id.data, count: id.data == nil ? 0 : id.len)))
    }

    private static func size(_ span: ProjectedSpan, events: [Int], status: Int) -> Int {
        var size = 18 + 10 + (span.context.parentSpanID == nil ? 0 : 10) + 2 + 6
        if !span.name.isEmpty { size += ProtobufSize.text(5, span.name) }
        if span.startTime != 0 { size += 9 }
        if span.endTime != 0 { size += 9 }
        size += AttributeEncoder.size(span.attributes, field: 9)
        for event in events { size += ProtobufSize.nested(11, event) }
        if span.droppedEvents > 0 { size += 1 + ProtobufSize.varint(UInt64(span.droppedEvents)) }
        if status > 0 { size += ProtobufSize.nested(15, status) }
        return size
    }

    private static func eventSize(_ event: ProjectedSpan.Event) -> Int {
        (event.time == 0 ? 0 : 9) + (event.name.isEmpty ? 0 : ProtobufSize.text(2, event.name))
            + AttributeEncoder.size(event.attributes, field: 3)
    }

    private static func write(_ event: ProjectedSpan.Event, _ writer: inout ProtobufWriter) {
        if event.time != 0 { writer.fixed64(1, event.time) }
        if !event.name.isEmpty { writer.text(2, event.name) }
        AttributeEncoder.write(event.attributes, field: 3, &writer)
    }

    private static func statusSize(_ status: ProjectedSpan.Status) -> Int {
        switch status {
        case .unset: 0
        case .ok: 2
        case .error(let message): 2 + (message.isEmpty ? 0 : ProtobufSize.text(2, message))
        }
    }

    private static func write(_ status: ProjectedSpan.Status, size: Int, _ writer: inout ProtobufWriter) {
        let code: UInt64
        switch status {
        case .unset: return
        case .ok:
            code = 1
            writer.length(15, size)
        case .error(let message):
            code = 2
            writer.length(15, size)
            if !message.isEmpty { writer.text(2, message) }
        }
        writer.tag(3, .varint)
        writer.varint(code)
    }
}
