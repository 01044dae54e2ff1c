internal import ATOF
internal import Foundation
internal import HTTPTransport
internal import Logging
internal import OTLP
internal import Projections
internal import Stages

/// What the exports of all signals do alike: items leave, the books say what became of them, and figures are shown.
struct ExportDelivery: Sendable {
    /// What is exported.
    struct Kind: Sendable {
        /// In names of metrics: `skein_<items>_delivered_total`.
        let items: String
        /// Of dead letters.
        let contentType: String

        static let spans = Kind(items: "spans", contentType: SkeinHeaders.span)
        static let logRecords = Kind(items: "log_records", contentType: SkeinHeaders.logRecord)
        static let metrics = Kind(items: "metrics", contentType: SkeinHeaders.metric)
    }

    let context: StageContext
    let kind: Kind
    let exporter: OTLPExporter
    var books: ExportBooks
    private let endpointName: String
    private let maximumLag: Duration?
    private var counted = ExportStatistics()
    /// Whether the endpoint is behind its maximum lag, so that it is said once.
    private var isExpiring = false

    /// - Parameters:
    ///   - resource: the packed Resource of items that name no other.
    ///   - position: everything up to it was delivered.
    init<Projection>(
        _ context: StageContext, _ kind: Kind, to endpoint: OTLPEndpoint<Projection>, client: HTTPClient,
        books: ExportBooks, position: UInt64
    ) {
        self.context = context
        self.kind = kind
        self.books = books
        endpointName = endpoint.name
        maximumLag = endpoint.maximumLag
        let name = endpoint.name
        exporter = OTLPExporter(
            configuration: ExportDelivery.configuration(endpoint), position: position, client: client,
            handlers: .init(
                deadLetter: { item, refusal in
                    try await context.deadLetters.write(
                        DeadLetter(
                            stage: context.key.stage, tenant: item.share.tenant, reason: "refused_\(refusal.status)",
                            message: "the endpoint \(name) answered \(refusal.status): \(refusal.reason)",
                            stream: SkeinSubjects.processedStream,
                            // Where it comes back: what time alone made comes from a message of another tenant, or of none.
                            subject: SkeinSubjects.replay(tenant: item.share.tenant, partition: context.key.partition),
                            position: EventReference(sequence: item.position, index: item.ordinal),
                            contentType: kind.contentType, body: item.bytes))
                },
                diagnosed: { diagnostic in
                    var level = Logger.Level.warning
                    if case .recovered = diagnostic { level = .info }
                    context.logger.log(level: level, "\(diagnostic)", metadata: ["endpoint": "\(name)"])
                }))
    }

    private static func configuration<Projection>(
        _ endpoint: OTLPEndpoint<Projection>
    ) -> OTLPExporter.Configuration {
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

    /// How long what comes of a message may wait; nil for ever, negative when it has waited for too long already.
    func lifetime(of message: StageMessage) -> Duration? {
        maximumLag.map {
            $0 - (.seconds(Date().timeIntervalSince1970) - .nanoseconds(Int64(clamping: message.timeNanoseconds)))
        }
    }

    /// Whether it is a dead letter of this endpoint that comes back.
    func isOwnLetter(_ message: StageMessage) -> Bool {
        message.stage == context.key.stage && message.contentType.map(SkeinHeaders.mediaType) == kind.contentType
    }

    /// Books what a projector made of a message, before it is handed over.
    mutating func add(_ output: ProjectionOutput, of message: StageMessage) {
        books.add(output, at: message.sequence, isReplay: message.isReplay)
        noteExpired(output.settled.reduce(0) { $0 + ($1.fate == .expired ? $1.events : 0) })
    }

    // MARK: Counts

    /// Takes over what became of items.
    ///
    /// - Returns: everything up to this position is delivered, but for the losses.
    @discardableResult
    mutating func settle() -> UInt64 {
        let (confirmed, losses) = exporter.settle()
        if !losses.isEmpty {
            books.lose(losses)
            noteExpired(losses.reduce(0) { $0 + ($1.reason == .expired ? $1.share.events : 0) })
        }
        return confirmed
    }

    private mutating func noteExpired(_ events: Int) {
        guard events > 0 else { return }
        context.metrics.add("skein_events_expired_total", events, ["stage": context.key.stage])
        if !isExpiring {
            isExpiring = true
            context.logger.warning(
                "endpoint is beyond its maximum lag: what is older is given up and counted as expired",
                metadata: ["endpoint": "\(endpointName)"])
        }
    }

    mutating func count() {
        settle()
        let now = exporter.statistics
        let metrics = context.metrics
        let stage = context.key.stage
        metrics.add("skein_\(kind.items)_delivered_total", now.delivered - counted.delivered, ["stage": stage])
        metrics.add(
            "skein_\(kind.items)_rejected_total",
            now.rejected + now.deadLettered - counted.rejected - counted.deadLettered, ["stage": stage])
        metrics.add("skein_\(kind.items)_expired_total", now.expired - counted.expired, ["stage": stage])
        metrics.add("skein_export_requests_total", now.requests - counted.requests, ["stage": stage])
        metrics.add("skein_export_retries_total", now.retries - counted.retries, ["stage": stage])
        metrics.set("skein_export_queue_items", Double(now.queueItems), context.labels)
        metrics.set("skein_export_queue_bytes", Double(now.queueBytes), context.labels)
        // The episode is over when the endpoint takes something again.
        if now.delivered > counted.delivered, now.expired == counted.expired { isExpiring = false }
        counted = now
    }
}
