internal import ATOF
internal import HTTPTransport
internal import OTLP
internal import Projections
internal import Stages

/// Reads PROCESSED and delivers log records to one OTLP/HTTP endpoint.
struct LogExportStage: Stage {
    let endpoint: CollectorConfiguration.LogEndpoint
    let runs: CollectorConfiguration.Runs
    /// Of this endpoint alone, so that one that hangs delays no other.
    let client: HTTPClient

    var name: String { "export-\(endpoint.name)" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        var configuration = endpoint.projection
        configuration.maximumAge = runs.maximumAge.nanoseconds
        var projector = LogProjector(configuration: configuration)
        var books = ExportBooks()
        if let parts = try snapshot.map({ try ExportSnapshot($0) }) {
            projector = try LogProjector(configuration: configuration, snapshot: parts.projector)
            books = try ExportBooks(snapshot: parts.ledger)
        }
        return LogExportWorker(
            ExportDelivery(context, .logRecords, to: endpoint, client: client, books: books, position: position),
            projector)
    }
}

/// Makes log records of the marks of one partition and delivers them to an endpoint.
actor LogExportWorker: ExportingWorker {
    var delivery: ExportDelivery
    private let context: StageContext
    private var projector: LogProjector
    private var counted = LogCounters()

    init(_ delivery: ExportDelivery, _ projector: LogProjector) {
        self.delivery = delivery
        self.projector = projector
        context = delivery.context
    }

    func receive(_ message: StageMessage) async throws {
        if delivery.isOwnLetter(message) {
            let (isRecord, traceID) = LogRecordEncoder.trace(ofEncoded: message.payload)
            return try await replay(message, root: isRecord ? traceID ?? .noRoot : nil)
        }
        let lifetime = delivery.lifetime(of: message)
        let (tenant, events, refused) = try await context.events(of: message)
        delivery.books.refuse(refused, tenant: tenant, isReplay: message.isReplay)
        let isExpired = lifetime.map { $0 <= .zero } ?? false
        var output = LogOutput()
        projector.advance(to: message.timeNanoseconds)
        for (event, _) in events { projector.receive(event, of: tenant, isExpired: isExpired, into: &output) }
        context.metrics.add("skein_events_received_total", events.count, ["stage": context.key.stage])
        delivery.add(output.events, of: message)
        var items: [ExportItem] = []
        items.reserveCapacity(output.records.count)
        for (ordinal, record) in output.records.enumerated() {
            delivery.books.emit(1, of: record.run, at: message.sequence)
            items.append(
                ExportItem(
                    bytes: LogRecordEncoder.encode(record.record), position: message.sequence, ordinal: ordinal,
                    share: ExportShare(tenant: record.run.tenant, root: record.run.uuid, events: 1)))
        }
        try await delivery.exporter.accept(
            items, through: message.sequence, lifetime: lifetime.map { max(.zero, $0) })
        count()
    }

    func countProjections() {
        let now = projector.counters
        defer { counted = now }
        let stage = context.key.stage
        func add(_ reason: String, _ field: KeyPath<LogCounters, UInt64>) {
            context.metrics.add(
                "skein_log_marks_dropped_total", Int(now[keyPath: field] - counted[keyPath: field]),
                ["stage": stage, "reason": reason])
        }
        add("below_severity", \.belowSeverity)
        add("invalid_severity", \.invalidSeverities)
        add("timestamp_out_of_range", \.timestampsOutOfRange)
        context.metrics.add(
            "skein_log_scopes_forgotten_total", Int(now.forgottenScopes - counted.forgottenScopes), ["stage": stage])
        context.metrics.set("skein_export_open_scopes", Double(projector.openScopeCount), context.labels)
    }

    func snapshot() -> StageSnapshot {
        delivery.books.takeSnapshot()
        return StageSnapshot(bytes: projector.snapshot())
    }

    func deadline() -> UInt64? { projector.nextDeadline() }
}
