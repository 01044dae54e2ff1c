internal import ATOF
internal import HTTPTransport
internal import Logging
internal import NATSTransport
internal import OTLP
internal import Projections
internal import Stages
internal import Synchronization

/// Reads PROCESSED and delivers spans to one OTLP/HTTP endpoint.
struct ExportStage: Stage {
    let endpoint: CollectorConfiguration.Endpoint
    /// Of this endpoint alone, so that one that hangs delays no other.
    let client: HTTPClient

    var name: String { "export-\(endpoint.name)" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        var projectors: [String: SpanProjector] = [:]
        for (tenant, bytes) in try TenantSnapshots.decode(snapshot) {
            let archive = EventArchive()
            repeat {
                try await archive.fetchMissing(from: context.jetStream)
                projectors[tenant] = try SpanProjector(configuration: endpoint.projection, snapshot: bytes) {
                    archive.packedEvent(at: $0)
                }
            } while !archive.missing.isEmpty
        }
        return ExportWorker(context, endpoint: endpoint, client: client, projectors: projectors, position: position)
    }
}

actor ExportWorker: StageWorker {
    private let context: StageContext
    private let endpoint: CollectorConfiguration.Endpoint
    private var projectors: [String: SpanProjector]
    private let exporter: OTLPExporter
    private var counted = ExportStatistics()
    /// Whose spans are under way, for their dead letters: tenant of each message that put out some.
    private let tenants: Tenants

    init(
        _ context: StageContext, endpoint: CollectorConfiguration.Endpoint, client: HTTPClient,
        projectors: [String: SpanProjector],
        position: UInt64
    ) {
        self.context = context
        self.endpoint = endpoint
        self.projectors = projectors
        let tenants = Tenants()
        self.tenants = tenants
        exporter = OTLPExporter(
            configuration: ExportWorker.configuration(endpoint), position: position, client: client,
            handlers: .init(
                deadLetter: { item, refusal in
                    try await context.deadLetters.write(
                        DeadLetter(
                            stage: context.key.stage, tenant: tenants[item.position],
                            reason: "refused_\(refusal.status)",
                            message: "the endpoint \(endpoint.name) answered \(refusal.status): \(refusal.reason)",
                            stream: SkeinSubjects.processedStream, subject: "",
                            position: EventReference(sequence: item.position, index: item.ordinal),
                            contentType: SkeinHeaders.protobuf, body: item.bytes))
                },
                confirmed: { tenants.forget(through: $0) },
                diagnosed: { diagnostic in
                    context.logger.warning(
                        "export", metadata: ["endpoint": "\(endpoint.name)", "diagnostic": "\(diagnostic)"])
                }))
    }

    private static func configuration(_ endpoint: CollectorConfiguration.Endpoint) -> OTLPExporter.Configuration {
        var configuration = OTLPExporter.Configuration(
            url: endpoint.url,
            framing: OTLPRequestFraming(
                resource: ResourceEncoder.resource(endpoint.resource, version: SkeinVersion.current),
                scope: ResourceEncoder.scope(endpoint.resource)),
            version: SkeinVersion.current)
        configuration.headers = endpoint.headers
        configuration.timeout = endpoint.timeout
        configuration.tls = endpoint.tls
        configuration.compression = endpoint.compression
        if let items = endpoint.maximumQueueItems { configuration.delivery.maxQueueItems = items }
        if let items = endpoint.maximumBatchItems { configuration.delivery.maxBatchItems = items }
        if let delay = endpoint.scheduledDelay { configuration.delivery.scheduledDelay = delay }
        if let backoff = endpoint.initialBackoff { configuration.delivery.initialBackoff = backoff }
        return configuration
    }

    func receive(_ message: StageMessage) async throws {
        let (tenant, events) = try await context.events(of: message)
        // Taken out, because a second owner of its tables would make the first change to them copy them all.
        var projector = projectors.removeValue(forKey: tenant) ?? SpanProjector(configuration: endpoint.projection)
        var items: [ExportItem] = []
        for (event, reference) in events {
            for span in projector.receive(event, at: reference) {
                items.append(
                    ExportItem(bytes: SpanEncoder.encode(span), position: message.sequence, ordinal: items.count))
            }
        }
        projectors[tenant] = projector
        context.metrics.add("skein_events_received_total", events.count, ["stage": context.key.stage])
        if !items.isEmpty { tenants.remember(tenant, at: message.sequence) }
        try await exporter.accept(items, through: message.sequence)
        count()
    }

    private func count() {
        let now = exporter.statistics
        let metrics = context.metrics
        let stage = context.key.stage
        metrics.add("skein_spans_delivered_total", now.delivered - counted.delivered, ["stage": stage])
        metrics.add("skein_spans_rejected_total", now.rejected - counted.rejected, ["stage": stage])
        metrics.add("skein_export_requests_total", now.requests - counted.requests, ["stage": stage])
        metrics.add("skein_export_retries_total", now.retries - counted.retries, ["stage": stage])
        metrics.set("skein_export_queue_items", Double(now.queueItems), context.labels)
        counted = now
    }

    func snapshot() -> StageSnapshot {
        StageSnapshot(
            bytes: TenantSnapshots.encode(projectors.mapValues { $0.snapshot() }),
            oldestReference: projectors.values.compactMap { $0.oldestReference?.sequence }.min())
    }

    func confirmed() -> UInt64 {
        count()
        return exporter.confirmedPosition
    }

    func flush() { exporter.requestFlush() }

    func run() async throws {
        await exporter.run()
        try Task.checkCancellation()
    }

    /// The tenant of every message that has spans under way.
    private final class Tenants: Sendable {
        private let tenants = Mutex<[UInt64: String]>([:])

        subscript(sequence: UInt64) -> String { tenants.withLock { $0[sequence] ?? "_" } }

        func remember(_ tenant: String, at sequence: UInt64) { tenants.withLock { $0[sequence] = tenant } }

        func forget(through sequence: UInt64) {
            tenants.withLock { tenants in tenants = tenants.filter { $0.key > sequence } }
        }
    }
}
