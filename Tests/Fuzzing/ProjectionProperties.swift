internal import ATOF
internal import OTLP
internal import Projections

enum ProjectionProperties {
    private static let second: UInt64 = 1_000_000_000

    /// Every event is in a span or settled, spans can be read back, and neither restarts nor payloads that are read again change a span.
    static func check(_ projection: ProjectionConfiguration.Projection, _ log: EventLog) throws(FuzzFailure) {
        var configuration = ProjectionConfiguration(projection: projection, idle: 30 * second, maximumAge: 300 * second)
        configuration.earlyEndLinger = 10 * second
        let whole = try spans(configuration, log, restarts: false)
        configuration.maximumHeldBytes = 0
        let restarted = try spans(configuration, log, restarts: true)
        try FuzzFailure.unless(whole == restarted, "a restart changes the spans")
        for compatibility in [.skein, .strict] as [Compatibility] {
            var narrow = narrow(projection)
            narrow.compatibility = compatibility
            _ = try spans(narrow, log, restarts: false)
        }
    }

    /// Marks as tools, aliases, promoted metadata, and bounds that are reached.
    private static func narrow(_ projection: ProjectionConfiguration.Projection) -> ProjectionConfiguration {
        var configuration = ProjectionConfiguration(
            projection: projection, markProjection: .tool,
            attributeMappings: [
                .init(key: "nemo_relay.uuid", alias: "id"), .init(key: "llm.model_name", alias: "model"),
            ],
            promoteMetadataPrefixes: ["user", "session", "otel."], maximumOpenSpans: 3, idle: 2 * second,
            maximumAge: 20 * second)
        configuration.maximumEarlyEnds = 2
        return configuration
    }

    private static func spans(_ configuration: ProjectionConfiguration, _ log: EventLog, restarts: Bool)
        throws(FuzzFailure) -> [[UInt8]]
    {
        var projector = SpanProjector(configuration: configuration)
        var spans: [[UInt8]] = []
        var (received, settled) = (0, 0)
        func take(_ output: ProjectionOutput) {
            spans += output.spans.map { SpanEncoder.encode($0.span) }
            received += output.received.reduce(0) { $0 + $1.events }
            settled += output.spans.reduce(0) { $0 + $1.events } + output.settled.reduce(0) { $0 + $1.events }
        }
        for (index, event) in log.events.enumerated() {
            if restarts {
                guard let restored = try? SpanProjector(configuration: configuration, snapshot: projector.snapshot())
                else {
                    throw FuzzFailure("a snapshot cannot be restored")
                }
                projector = restored
            }
            var output = ProjectionOutput()
            projector.advance(to: UInt64(index) * second, into: &output)
            leave(&projector, &output, log)
            let references = projector.references(for: event, of: "t")
            projector.receive(
                event, at: EventLog.reference(index), of: "t", isExpired: index % 17 == 16, into: &output
            ) { references.contains($0) ? log.packed(at: $0) : nil }
            projector.enforceBounds(after: output.received.last?.run)
            leave(&projector, &output, log)
            projector.unload()
            take(output)
        }
        var output = ProjectionOutput()
        projector.advance(to: 1 << 60, into: &output)
        leave(&projector, &output, log)
        take(output)
        try FuzzFailure.unless(received == log.events.count, "\(received) events of \(log.events.count) were received")
        try FuzzFailure.unless(received == settled, "\(received) events came, \(settled) are in spans or settled")
        try FuzzFailure.unless(
            projector.openSpanCount == 0 && projector.oldestReference == nil && projector.heldBytes == 0,
            "something is open after everything was given up")
        try check(spans)
        return spans
    }

    private static func leave(_ projector: inout SpanProjector, _ output: inout ProjectionOutput, _ log: EventLog) {
        while projector.hasLeaving {
            let references = projector.leavingReferences(2)
            projector.leave(2, into: &output) { references.contains($0) ? log.packed(at: $0) : nil }
        }
    }

    private static func check(_ spans: [[UInt8]]) throws(FuzzFailure) {
        let resource = ResourceConfiguration(serviceName: "fuzz")
        guard
            let request = OTLPJSON.exportTraceServiceRequest(
                spans: spans, resource: ResourceEncoder.resource(resource, version: "1"),
                scope: ResourceEncoder.scope(resource))
        else { throw FuzzFailure("an encoded request cannot be read back") }
        let read = request["resourceSpans"]?[0]?["scopeSpans"]?[0]?["spans"]?.arrayValue?.count ?? 0
        try FuzzFailure.unless(read == spans.count, "of \(spans.count) spans \(read) are read back")
    }
}
