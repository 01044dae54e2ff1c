package import ATOF

// A snapshot holds what decisions were based on (contexts, inherited errors, completed scopes) and says where the
// payloads are: the start event of every open span and the marks in it. Counters and diagnostics belong to the process
// and are not in it.
extension SpanProjector {
    private static let snapshotVersion: UInt8 = 1

    /// The state without payloads.
    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: SpanProjector.snapshotVersion)
        let completed = completed.snapshot
        writer.write(completed.count)
        for (uuid, entry, isExpired) in completed {
            writer.write(uuid)
            writer.write(entry.traceID)
            writer.write(entry.endTime)
            writer.write(isExpired ? UInt64(1) : 0)
        }
        let open = openSpans.inOrder
        writer.write(open.count)
        for span in open {
            writer.write(span.reference)
            writer.write(span.context.traceID)
            writer.write(span.context.spanID)
            writer.write(span.context.parentSpanID) { $0.write($1) }
            writer.write(span.context.isRemote ? UInt64(1) : 0)
            writer.write(span.inheritedErrorType) { $0.write($1) }
            writer.write(span.inheritedExceptionType) { $0.write($1) }
            writer.write(UInt64(span.droppedEvents))
            writer.write(span.marks.count)
            for mark in span.marks { writer.write(mark) }
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
        var reader = try SnapshotReader(snapshot, version: SpanProjector.snapshotVersion)
        for _ in 0..<(try reader.readCount()) {
            let (uuid, traceID) = (try reader.readUUID(), try reader.readUUID())
            completed.restore(
                uuid, traceID: traceID, endTime: try reader.readNumber(), isExpired: try reader.readNumber() == 1)
        }
        for _ in 0..<(try reader.readCount()) { try restoreSpan(&reader, event) }
        try reader.end()
        diagnostics = ProjectionDiagnostics()
    }

    private mutating func restoreSpan(
        _ reader: inout SnapshotReader, _ read: (EventReference) -> [UInt8]?
    ) throws(SnapshotError) {
        let reference = try reader.readReference()
        let context = SpanContext(
            traceID: try reader.readUUID(), spanID: try reader.readNumber(),
            parentSpanID: try reader.readOptional { reader throws(SnapshotError) in try reader.readNumber() },
            isRemote: try reader.readNumber() == 1)
        let errorType = try reader.readOptional { reader throws(SnapshotError) in try reader.readText() }
        let exceptionType = try reader.readOptional { reader throws(SnapshotError) in try reader.readText() }
        var dropped = UInt32(truncatingIfNeeded: try reader.readNumber())
        var marks: [EventReference] = []
        for _ in 0..<(try reader.readCount()) { marks.append(try reader.readReference()) }

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
