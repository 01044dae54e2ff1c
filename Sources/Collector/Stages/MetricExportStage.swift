internal import ATOF
internal import HTTPTransport
internal import OTLP
internal import Projections
internal import Stages

/// Reads PROCESSED, adds up measurements, and delivers what is collected to one OTLP/HTTP endpoint.
struct MetricExportStage: Stage {
    let endpoint: CollectorConfiguration.MetricEndpoint
    /// Of this endpoint alone, so that one that hangs delays no other.
    let client: HTTPClient

    var name: String { "export-\(endpoint.name)" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        var projector = MetricProjector(configuration: endpoint.projection)
        var books = ExportBooks()
        if let parts = try snapshot.map({ try ExportSnapshot($0) }) {
            projector = try MetricProjector(configuration: endpoint.projection, snapshot: parts.projector)
            books = try ExportBooks(snapshot: parts.ledger)
        }
        return MetricExportWorker(
            ExportDelivery(context, .metrics, to: endpoint, client: client, books: books, position: position),
            projector, resource: endpoint.resource)
    }
}

/// Adds up the measurements of one partition and delivers the collections to an endpoint.
///
/// What was measured and not collected is in the snapshot: a message is confirmed when the collections that it made due are delivered.
actor MetricExportWorker: ExportingWorker {
    private static let instanceKey = "service.instance.id"

    var delivery: ExportDelivery
    private let context: StageContext
    private let resource: ResourceConfiguration
    private var resources: [String: [UInt8]] = [:]
    private var projector: MetricProjector
    private var counted = MetricCounters()
    /// The next message collects, whatever its time.
    private var isCollectionWanted = false

    init(_ delivery: ExportDelivery, _ projector: MetricProjector, resource: ResourceConfiguration) {
        self.delivery = delivery
        self.projector = projector
        self.resource = resource
        context = delivery.context
    }

    func receive(_ message: StageMessage) async throws {
        if delivery.isOwnLetter(message) {
            let tenant = SkeinSubjects.tenant(ofProcessed: message.subject) ?? SkeinSubjects.ownTenant
            return try await replay(
                message, root: MetricEncoder.isEncoded(message.payload) ? .noRoot : nil, resource: resource(of: tenant))
        }
        let lifetime = delivery.lifetime(of: message)
        let (tenant, events, refused) = try await context.events(of: message)
        delivery.books.refuse(refused, tenant: tenant, isReplay: message.isReplay)
        let isExpired = lifetime.map { $0 <= .zero } ?? false
        var output = MetricOutput()
        projector.advance(to: message.timeNanoseconds, into: &output)
        for (event, _) in events { projector.receive(event, of: tenant, isExpired: isExpired, into: &output) }
        if isCollectionWanted { projector.finish(into: &output) }
        isCollectionWanted = false
        context.metrics.add("skein_events_received_total", events.count, ["stage": context.key.stage])
        delivery.add(output.events, of: message)
        let items = items(output, at: message.sequence)
        try await delivery.exporter.accept(
            items, through: message.sequence, lifetime: lifetime.map { max(.zero, $0) })
        // A collection has waited for its interval already.
        if !items.isEmpty { delivery.exporter.requestFlush() }
        count()
    }

    private func items(_ output: MetricOutput, at position: UInt64) -> [ExportItem] {
        var items: [ExportItem] = []
        items.reserveCapacity(output.metrics.count)
        for (ordinal, metric) in output.metrics.enumerated() {
            for share in metric.shares { delivery.books.emit(share.events, of: share.run, at: position) }
            items.append(
                ExportItem(
                    bytes: MetricEncoder.encode(metric.metric), position: position, ordinal: ordinal,
                    share: ExportShare(tenant: metric.tenant, root: .noRoot, events: 0),
                    furtherShares: metric.shares.map {
                        ExportShare(tenant: $0.run.tenant, root: $0.run.uuid, events: $0.events)
                    },
                    resource: resource(of: metric.tenant)))
        }
        return items
    }

    /// A series has one writer: its resource names the task and the tenant.
    private func resource(of tenant: String) -> [UInt8] {
        if let known = resources[tenant] { return known }
        var resource = resource
        let task = "\(context.key.stage)/\(context.key.partition)/\(tenant)"
        let configured = resource.resourceAttributes[MetricExportWorker.instanceKey]
        resource.resourceAttributes[MetricExportWorker.instanceKey] = configured.map { "\($0)/\(task)" } ?? task
        let packed = ResourceEncoder.resource(resource, version: SkeinVersion.current)
        if resources.count >= 1024 { resources = [:] }
        resources[tenant] = packed
        return packed
    }

    func countProjections() {
        let now = projector.counters
        defer { counted = now }
        let stage = context.key.stage
        func add(_ reason: String, _ field: KeyPath<MetricCounters, UInt64>) {
            context.metrics.add(
                "skein_metric_marks_dropped_total", Int(now[keyPath: field] - counted[keyPath: field]),
                ["stage": stage, "reason": reason])
        }
        add("invalid", \.invalidMarks)
        add("descriptor_conflict", \.descriptorConflicts)
        add("instrument_limit", \.instrumentLimit)
        add("timestamp_out_of_range", \.timestampsOutOfRange)
        context.metrics.add(
            "skein_metric_overflows_total", Int(now.overflowed - counted.overflowed), ["stage": stage])
        context.metrics.add(
            "skein_metric_tenants_forgotten_total", Int(now.forgottenTenants - counted.forgottenTenants),
            ["stage": stage])
        context.metrics.set("skein_export_series", Double(projector.seriesCount), context.labels)
    }

    func snapshot() -> StageSnapshot {
        delivery.books.takeSnapshot()
        return StageSnapshot(bytes: projector.snapshot())
    }

    /// A tick makes the next collection due.
    func deadline() -> UInt64? {
        guard let deadline = projector.nextDeadline() else { return nil }
        return isCollectionWanted ? 0 : deadline
    }

    func flush() {
        isCollectionWanted = projector.nextDeadline() != nil
        delivery.exporter.requestFlush()
    }
}
