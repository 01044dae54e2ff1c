internal import ATOF

/// A snapshot that cannot be read: it was cut, or another version wrote it.
package struct SnapshotError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

// A snapshot holds what decisions were based on (contexts, inherited errors, completed scopes) and says where the
// payloads are: the start event of every open span and the marks in it. Counters and diagnostics belong to the process
// and are not in it.
extension SpanProjector {
    private static let snapshotVersion: UInt8 = 1

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter()
        writer.byte(SpanProjector.snapshotVersion)
        let completed = completed.snapshot
        writer.varint(UInt64(completed.count))
        for (uuid, entry, isExpired) in completed {
            writer.uuid(uuid)
            writer.uuid(entry.traceID)
            writer.varint(entry.endTime)
            writer.byte(isExpired ? 1 : 0)
        }
        let open = openSpans.inOrder
        writer.varint(UInt64(open.count))
        for span in open {
            writer.reference(span.reference)
            writer.uuid(span.context.traceID)
            writer.varint(span.context.spanID)
            writer.optional(span.context.parentSpanID) { $0.varint($1) }
            writer.byte(span.context.isRemote ? 1 : 0)
            writer.optional(span.inheritedErrorType) { $0.text($1) }
            writer.optional(span.inheritedExceptionType) { $0.text($1) }
            writer.varint(UInt64(span.droppedEvents))
            writer.varint(UInt64(span.marks.count))
            for mark in span.marks { writer.reference(mark) }
        }
        return writer.bytes
    }

    /// Continues where the snapshot was taken.
    ///
    /// - Parameter event: reads the packed event at a reference; nil when it is gone. An open span without its start
    ///   event is lost, a mark counts as dropped from its span; `counters.unreadableReferences` says how many.
    /// - Throws: `SnapshotError` when the bytes are no snapshot of this version.
    package init(
        configuration: ProjectionConfiguration, snapshot: [UInt8], event: (EventReference) -> [UInt8]?
    ) throws(SnapshotError) {
        self.init(configuration: configuration)
        var reader = SnapshotReader(snapshot)
        guard try reader.byte() == SpanProjector.snapshotVersion else {
            throw SnapshotError(description: "The snapshot of the span projector has another version")
        }
        for _ in 0..<(try reader.varint()) {
            let (uuid, traceID) = (try reader.uuid(), try reader.uuid())
            completed.restore(uuid, traceID: traceID, endTime: try reader.varint(), isExpired: try reader.byte() == 1)
        }
        for _ in 0..<(try reader.varint()) { try restoreSpan(&reader, event) }
        guard reader.isAtEnd else { throw SnapshotError(description: "The snapshot of the span projector is too long") }
        diagnostics = ProjectionDiagnostics()
    }

    private mutating func restoreSpan(
        _ reader: inout SnapshotReader, _ read: (EventReference) -> [UInt8]?
    ) throws(SnapshotError) {
        let reference = try reader.reference()
        let context = SpanContext(
            traceID: try reader.uuid(), spanID: try reader.varint(),
            parentSpanID: try reader.optional { reader throws(SnapshotError) in try reader.varint() },
            isRemote: try reader.byte() == 1)
        let errorType = try reader.optional { reader throws(SnapshotError) in try reader.text() }
        let exceptionType = try reader.optional { reader throws(SnapshotError) in try reader.text() }
        var dropped = UInt32(truncatingIfNeeded: try reader.varint())
        var marks: [EventReference] = []
        for _ in 0..<(try reader.varint()) { marks.append(try reader.reference()) }

        guard let start = SpanProjector.event(read(reference)), start.kind == .scopeStart,
            let time = start.timestamp.epochNanoseconds
        else {
            counters.unreadableReferences += 1
            return
        }
        open(start, time, context: context, at: reference)
        for mark in marks {
            if let event = SpanProjector.event(read(mark)), event.parentUUID == start.uuid,
                let time = event.timestamp.epochNanoseconds
            {
                _ = markReceived(event, time, at: mark)
            } else {
                counters.unreadableReferences += 1
                dropped += 1
            }
        }
        openSpans.update(start.uuid) { span in
            span.inheritedErrorType = errorType
            span.inheritedExceptionType = exceptionType
            span.droppedEvents = dropped
        }
    }

    private static func event(_ packed: [UInt8]?) -> Event? {
        guard let packed else { return nil }
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try? EventBatch(unpacking: writer.bytes).event(at: 0)
    }
}

/// Appends the fields of a snapshot.
struct SnapshotWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    mutating func uuid(_ uuid: EventUUID) { bytes += uuid.bytes }

    mutating func reference(_ reference: EventReference) {
        varint(reference.sequence)
        varint(UInt64(reference.index))
    }

    mutating func text(_ text: String) {
        varint(UInt64(text.utf8.count))
        bytes += text.utf8
    }

    mutating func optional<Value>(_ value: Value?, _ write: (inout SnapshotWriter, Value) -> Void) {
        byte(value == nil ? 0 : 1)
        if let value { write(&self, value) }
    }
}

/// Reads the fields of a snapshot in the order in which they were written.
struct SnapshotReader {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    mutating func byte() throws(SnapshotError) -> UInt8 { try take(1)[index - 1] }

    mutating func varint() throws(SnapshotError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 70, by: 7) {
            let byte = try byte()
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        throw SnapshotError(description: "A number in the snapshot is too long")
    }

    mutating func uuid() throws(SnapshotError) -> EventUUID {
        guard let uuid = EventUUID(bytes: try take(16)) else { throw SnapshotReader.truncated }
        return uuid
    }

    mutating func reference() throws(SnapshotError) -> EventReference {
        EventReference(sequence: try varint(), index: UInt32(truncatingIfNeeded: try varint()))
    }

    mutating func text() throws(SnapshotError) -> String {
        String(decoding: try take(Int(clamping: try varint())), as: UTF8.self)
    }

    mutating func optional<Value>(
        _ read: (inout SnapshotReader) throws(SnapshotError) -> Value
    ) throws(SnapshotError) -> Value? {
        try byte() == 0 ? nil : try read(&self)
    }

    private mutating func take(_ count: Int) throws(SnapshotError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - index else { throw SnapshotReader.truncated }
        index += count
        return bytes[(index - count)..<index]
    }

    private static let truncated = SnapshotError(description: "The snapshot of the span projector is cut")
}
