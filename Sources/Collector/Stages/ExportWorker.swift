internal import ATOF
internal import Foundation
internal import HTTPTransport
internal import Logging
internal import NATSTransport
internal import OTLP
internal import Projections
internal import Stages

/// Projects the events of one partition and delivers the spans to an endpoint.
actor ExportWorker: StageWorker {
    /// Spans whose payloads are read again at a time.
    private static let slice = 64

    private let context: StageContext
    private let endpoint: CollectorConfiguration.Endpoint
    private var projector: SpanProjector
    private var books: ExportBooks
    private let exporter: OTLPExporter
    private var counted = ExportStatistics()
    private var countedProjections = ProjectionCounters()
    /// Whether the endpoint is behind its maximum lag, so that it is said once.
    private var isExpiring = false

    init(
        _ context: StageContext, endpoint: CollectorConfiguration.Endpoint, client: HTTPClient,
        projector: SpanProjector, books: ExportBooks, position: UInt64
    ) {
        self.context = context
        self.endpoint = endpoint
        self.projector = projector
        self.books = books
        exporter = OTLPExporter(
            configuration: ExportWorker.configuration(endpoint), position: position, client: client,
            handlers: .init(
                deadLetter: { item, refusal in
                    try await context.deadLetters.write(
                        DeadLetter(
                            stage: context.key.stage, tenant: item.share.tenant, reason: "refused_\(refusal.status)",
                            message: "the endpoint \(endpoint.name) answered \(refusal.status): \(refusal.reason)",
                            stream: SkeinSubjects.processedStream,
                            // Where it comes back: an abandoned span comes from a message of another tenant, or of none.
                            subject: SkeinSubjects.replay(tenant: item.share.tenant, partition: context.key.partition),
                            position: EventReference(sequence: item.position, index: item.ordinal),
                            contentType: SkeinHeaders.span, body: item.bytes))
                },
                diagnosed: { diagnostic in
                    var level = Logger.Level.warning
                    if case .recovered = diagnostic { level = .info }
                    context.logger.log(level: level, "\(diagnostic)", metadata: ["endpoint": "\(endpoint.name)"])
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
        if let bytes = endpoint.maximumQueueBytes {
            configuration.delivery.maxQueueBytes = bytes
            configuration.delivery.maxBatchBytes = min(configuration.delivery.maxBatchBytes, bytes)
        }
        if let items = endpoint.maximumBatchItems { configuration.delivery.maxBatchItems = items }
        if let delay = endpoint.scheduledDelay { configuration.delivery.scheduledDelay = delay }
        if let backoff = endpoint.initialBackoff { configuration.delivery.initialBackoff = backoff }
        return configuration
    }

    // MARK: Messages

    /// What one message puts out, on its way to the exporter.
    private struct Batch {
        let message: StageMessage
        /// How long its spans may wait; nil for ever.
        let lifetime: Duration?
        var output = ProjectionOutput()
        var ordinal = 0
    }

    func receive(_ message: StageMessage) async throws {
        let lifetime = endpoint.maximumLag.map { $0 - ExportWorker.age(of: message) }
        if message.stage == context.key.stage, message.contentType.map(SkeinHeaders.mediaType) == SkeinHeaders.span {
            return try await replay(message, lifetime)
        }
        let (tenant, events, refused) = try await context.events(of: message)
        books.refuse(refused, tenant: tenant, isReplay: message.isReplay)
        let isExpired = lifetime.map { $0 <= .zero } ?? false
        var batch = Batch(message: message, lifetime: lifetime.map { max(.zero, $0) })
        projector.advance(to: message.timeNanoseconds, into: &batch.output)
        try await leave(&batch)
        var rest = events[...]
        while !rest.isEmpty {
            var references: [EventReference] = []
            var count = 0
            for (event, _) in rest {
                references += projector.references(for: event, of: tenant)
                count += 1
                if references.count >= ExportWorker.slice { break }
            }
            let reader = try await reader(of: references)
            for (event, reference) in rest.prefix(count) {
                projector.receive(event, at: reference, of: tenant, isExpired: isExpired, into: &batch.output) {
                    wanted in
                    // A mark and the end of its span may come in one message: what was asked before it does not name the mark.
                    reader.packedEvent(at: wanted)
                        ?? events.first { $0.reference == wanted }?.event.packed.array
                }
            }
            rest = rest.dropFirst(count)
            if !rest.isEmpty { try await handOver(&batch) }
        }
        projector.enforceBounds(after: batch.output.received.last?.run)
        try await leave(&batch)
        projector.unload()
        context.metrics.add("skein_events_received_total", events.count, ["stage": context.key.stage])
        try await handOver(&batch, isComplete: true)
        count()
    }

    /// Exports what was given up, in slices.
    private func leave(_ batch: inout Batch) async throws {
        while projector.hasLeaving {
            let reader = try await reader(of: projector.leavingReferences(ExportWorker.slice))
            projector.leave(ExportWorker.slice, into: &batch.output) { reader.packedEvent(at: $0) }
            try await handOver(&batch)
        }
    }

    private func reader(of references: [EventReference]) async throws -> PayloadReader {
        var reader = PayloadReader()
        try await reader.fetch(references, from: context.jetStream)
        return reader
    }

    private func handOver(_ batch: inout Batch, isComplete: Bool = false) async throws {
        var items: [ExportItem] = []
        items.reserveCapacity(batch.output.spans.count)
        for span in batch.output.spans {
            items.append(
                ExportItem(
                    bytes: SpanEncoder.encode(span.span), position: batch.message.sequence, ordinal: batch.ordinal,
                    share: ExportShare(tenant: span.run.tenant, root: span.run.uuid, events: span.events)))
            batch.ordinal += 1
        }
        books.add(batch.output, at: batch.message.sequence, isReplay: batch.message.isReplay)
        let expired = batch.output.settled.reduce(0) { $0 + ($1.fate == .expired ? $1.events : 0) }
        noteExpired(expired)
        batch.output = ProjectionOutput()
        if !isComplete, items.isEmpty { return }
        try await exporter.accept(
            items, through: isComplete ? batch.message.sequence : batch.message.sequence - 1, lifetime: batch.lifetime)
    }

    /// A dead letter of this endpoint comes back: a span, encoded.
    private func replay(_ message: StageMessage, _ lifetime: Duration?) async throws {
        let tenant = SkeinSubjects.tenant(ofProcessed: message.subject) ?? SkeinSubjects.ownTenant
        var items: [ExportItem] = []
        if let trace = SpanEncoder.traceID(ofEncoded: message.payload) {
            items = [
                ExportItem(
                    bytes: message.payload, position: message.sequence, share: ExportShare(tenant: tenant, root: trace))
            ]
            books.replay(ScopeKey(tenant: tenant, uuid: trace), at: message.sequence)
            context.metrics.add("skein_dead_letters_replayed_total", 1, ["stage": context.key.stage])
        } else {
            try await context.deadLetters.write(
                DeadLetter(
                    stage: context.key.stage, tenant: tenant, reason: "undecodable", message: "not an encoded span",
                    stream: SkeinSubjects.processedStream, subject: message.subject,
                    position: EventReference(sequence: message.sequence, index: 0), contentType: SkeinHeaders.span,
                    body: message.payload))
            books.refuse(1, tenant: tenant, isReplay: message.isReplay)
        }
        try await exporter.accept(
            items, through: message.sequence, lifetime: lifetime.map { max(.zero, $0) })
        count()
    }

    private static func age(of message: StageMessage) -> Duration {
        .seconds(Date().timeIntervalSince1970) - .nanoseconds(Int64(clamping: message.timeNanoseconds))
    }

    // MARK: Counts

    /// Takes over what became of spans.
    @discardableResult
    private func settle() -> UInt64 {
        let (confirmed, losses) = exporter.settle()
        if !losses.isEmpty {
            books.lose(losses)
            noteExpired(losses.reduce(0) { $0 + ($1.reason == .expired ? $1.share.events : 0) })
        }
        return confirmed
    }

    private func noteExpired(_ events: Int) {
        guard events > 0 else { return }
        context.metrics.add("skein_events_expired_total", events, ["stage": context.key.stage])
        if !isExpiring {
            isExpiring = true
            context.logger.warning(
                "endpoint is beyond its maximum lag: what is older is given up and counted as expired",
                metadata: ["endpoint": "\(endpoint.name)"])
        }
    }

    private func count() {
        settle()
        let now = exporter.statistics
        let metrics = context.metrics
        let stage = context.key.stage
        metrics.add("skein_spans_delivered_total", now.delivered - counted.delivered, ["stage": stage])
        metrics.add(
            "skein_spans_rejected_total", now.rejected + now.deadLettered - counted.rejected - counted.deadLettered,
            ["stage": stage])
        metrics.add("skein_spans_expired_total", now.expired - counted.expired, ["stage": stage])
        metrics.add("skein_export_requests_total", now.requests - counted.requests, ["stage": stage])
        metrics.add("skein_export_retries_total", now.retries - counted.retries, ["stage": stage])
        metrics.set("skein_export_queue_items", Double(now.queueItems), context.labels)
        metrics.set("skein_export_queue_bytes", Double(now.queueBytes), context.labels)
        // The episode is over when the endpoint takes something again.
        if now.delivered > counted.delivered, now.expired == counted.expired { isExpiring = false }
        counted = now
        countProjections()
    }

    private func countProjections() {
        let now = projector.counters
        let before = countedProjections
        guard now != before else { return setOpen() }
        let stage = context.key.stage
        func add(_ name: String, _ field: KeyPath<ProjectionCounters, UInt64>) {
            context.metrics.add(name, Int(now[keyPath: field] - before[keyPath: field]), ["stage": stage])
        }
        add("skein_spans_unmatched_ends_total", \.unmatchedEnds)
        add("skein_spans_late_ends_total", \.lateEnds)
        add("skein_spans_duplicate_starts_total", \.duplicateStarts)
        add("skein_spans_dropped_events_total", \.droppedSpanEvents)
        add("skein_spans_unloaded_total", \.unloaded)
        add("skein_spans_unreadable_events_total", \.unreadableReferences)
        for reason in AbandonReason.allCases {
            context.metrics.add(
                "skein_spans_abandoned_total",
                Int(now.abandoned[reason, default: 0] - before.abandoned[reason, default: 0]),
                ["stage": stage, "reason": reason.rawValue])
        }
        countedProjections = now
        setOpen()
    }

    private func setOpen() {
        context.metrics.set("skein_export_open_spans", Double(projector.openSpanCount), context.labels)
        context.metrics.set("skein_export_held_bytes", Double(projector.heldBytes), context.labels)
    }

    // MARK: Runtime

    func snapshot() -> StageSnapshot {
        books.takeSnapshot()
        return StageSnapshot(bytes: projector.snapshot(), oldestReference: projector.oldestReference?.sequence)
    }

    func sealed(_ snapshot: StageSnapshot, at position: UInt64) -> [UInt8] {
        settle()
        return ExportSnapshot(projector: snapshot.bytes, ledger: books.sealed(at: position)).bytes
    }

    func confirmed() -> UInt64 {
        count()
        return settle()
    }

    func deadline() -> UInt64? { projector.nextDeadline() }

    func ledger() -> [LedgerRow] {
        let confirmed = settle()
        return books.current(confirmed: confirmed).rows
    }

    func flush() { exporter.requestFlush() }

    func run() async throws {
        await exporter.run()
        try Task.checkCancellation()
    }
}
