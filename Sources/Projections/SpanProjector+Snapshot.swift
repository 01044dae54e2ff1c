package import ATOF

// A snapshot holds what decisions were based on (contexts, inherited errors, runs, ended scopes) and says where the payloads are: the start
// event of every open span, the marks in it, and ends that wait for their starts. Nothing is read again before it is needed. Counters and
// diagnostics belong to the process and are not in it.
extension SpanProjector {
    private static let snapshotVersion: UInt8 = 2

    /// The state without payloads. To be taken when nothing is leaving.
    package func snapshot() -> [UInt8] {
        precondition(!hasLeaving, "a snapshot between two messages")
        var writer = SnapshotWriter(version: SpanProjector.snapshotVersion)
        writer.write(now)
        let (open, runs, early) = (openSpans.inOrder, runs.inOrder, earlyEnds.inOrder)
        var names = NameTable()
        for run in runs { names.add(run.key.tenant) }
        for span in open { names.add(span.key.tenant) }
        for end in early { names.add(end.key.tenant) }
        writer.write(names.names.count)
        for name in names.names { writer.write(name) }
        completed.write(to: &writer)
        writer.write(runs.count)
        for (key, run) in runs {
            names.write(key, to: &writer)
            writer.write(run.since)
            writer.write(run.lastActivity)
            writer.write(run.lastEventTime)
        }
        writer.write(open.count)
        for span in open { SpanProjector.write(span, names, to: &writer) }
        writer.write(early.count)
        for end in early {
            names.write(end.key, to: &writer)
            writer.write(end.run.uuid)
            writer.write(end.reference)
            writer.write(end.since)
            writer.write(end.isExpired ? UInt64(1) : 0)
        }
        return writer.bytes
    }

    private static func write(_ span: OpenSpan, _ names: NameTable, to writer: inout SnapshotWriter) {
        names.write(span.key, to: &writer)
        writer.write(span.run.uuid)
        writer.write(span.reference)
        writer.write(span.context.traceID)
        writer.write(span.context.parentSpanID) { $0.write($1) }
        let flags =
            (span.context.isRemote ? 1 : 0) | (span.isExpired ? 2 : 0) | (span.isRepeated ? 4 : 0)
            | (span.awaitsRoot ? 8 : 0)
        writer.write(UInt64(flags))
        writer.write(span.inheritedErrorType) { $0.write($1) }
        writer.write(span.inheritedExceptionType) { $0.write($1) }
        writer.write(UInt64(span.droppedEvents))
        writer.write(span.marks.count)
        for mark in span.marks { writer.write(mark) }
    }

    /// Continues where the snapshot was taken.
    ///
    /// - Throws: `SnapshotError` when the bytes are no snapshot of this version.
    package init(configuration: ProjectionConfiguration, snapshot: [UInt8]) throws(SnapshotError) {
        self.init(configuration: configuration)
        var reader = try SnapshotReader(snapshot, version: SpanProjector.snapshotVersion)
        now = try reader.readNumber()
        var names: [String] = []
        for _ in 0..<(try reader.readCount()) { names.append(try reader.readText()) }
        completed = try TenantContexts(from: &reader, lifetime: configuration.completedLifetime)
        for _ in 0..<(try reader.readCount()) {
            let key = try NameTable.readKey(&reader, names)
            let (since, lastActivity) = (try reader.readNumber(), try reader.readNumber())
            runs.restore(key, since: since, lastActivity: lastActivity, lastEventTime: try reader.readNumber())
        }
        for _ in 0..<(try reader.readCount()) {
            let span = try SpanProjector.readSpan(&reader, names)
            openSpans.insert(span)
            runs.restore(span: span.key.uuid, in: span.run)
        }
        for _ in 0..<(try reader.readCount()) {
            let key = try NameTable.readKey(&reader, names)
            let run = ScopeKey(tenant: key.tenant, uuid: try reader.readUUID())
            let reference = try reader.readReference()
            let since = try reader.readNumber()
            earlyEnds.insert(
                .init(
                    key: key, run: run, reference: reference, since: since, isExpired: try reader.readNumber() == 1))
        }
        try reader.end()
    }

    private static func readSpan(
        _ reader: inout SnapshotReader, _ names: [String]
    ) throws(SnapshotError) -> OpenSpan {
        let key = try NameTable.readKey(&reader, names)
        let run = ScopeKey(tenant: key.tenant, uuid: try reader.readUUID())
        let reference = try reader.readReference()
        let traceID = try reader.readUUID()
        let parent = try reader.readOptional { reader throws(SnapshotError) in try reader.readNumber() }
        let flags = try reader.readNumber()
        var span = OpenSpan(
            key: key, run: run, reference: reference,
            context: SpanContext(
                traceID: traceID, spanID: key.uuid.spanID, parentSpanID: parent, isRemote: flags & 1 != 0),
            isExpired: flags & 2 != 0, isRepeated: flags & 4 != 0, awaitsRoot: flags & 8 != 0)
        span.inheritedErrorType = try reader.readOptional { reader throws(SnapshotError) in try reader.readText() }
        span.inheritedExceptionType = try reader.readOptional { reader throws(SnapshotError) in try reader.readText() }
        span.droppedEvents = UInt32(clamping: min(try reader.readNumber(), 1 << 31))
        for _ in 0..<(try reader.readCount()) { span.marks.append(try reader.readReference()) }
        return span
    }
}

/// The tenants of a snapshot, each written once.
private struct NameTable {
    private(set) var names: [String] = []
    private var numbers: [String: Int] = [:]

    mutating func add(_ name: String) {
        if numbers[name] == nil {
            numbers[name] = names.count
            names.append(name)
        }
    }

    func write(_ key: ScopeKey, to writer: inout SnapshotWriter) {
        writer.write(UInt64(numbers[key.tenant] ?? 0))
        writer.write(key.uuid)
    }

    static func readKey(_ reader: inout SnapshotReader, _ names: [String]) throws(SnapshotError) -> ScopeKey {
        guard let number = Int(exactly: try reader.readNumber()), names.indices.contains(number) else {
            throw SnapshotError("a tenant of the snapshot is out of range")
        }
        return ScopeKey(tenant: names[number], uuid: try reader.readUUID())
    }
}
