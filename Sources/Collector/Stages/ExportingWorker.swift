internal import ATOF
internal import OTLP
internal import Projections
internal import Stages

/// A worker that delivers to an endpoint.
protocol ExportingWorker: StageWorker, Actor {
    var delivery: ExportDelivery { get set }
    /// Shows what the projector has counted.
    func countProjections()
}

extension ExportingWorker {
    /// Delivers a dead letter of this endpoint again.
    ///
    /// - Parameters:
    ///   - root: whom the item counts for; nil when the bytes are no item.
    ///   - resource: a packed Resource that the item belongs to instead of the endpoint's.
    func replay(_ message: StageMessage, root: EventUUID?, resource: [UInt8]? = nil) async throws {
        let tenant = SkeinSubjects.tenant(ofProcessed: message.subject) ?? SkeinSubjects.ownTenant
        let context = delivery.context
        var items: [ExportItem] = []
        if let root {
            items = [
                ExportItem(
                    bytes: message.payload, position: message.sequence, share: ExportShare(tenant: tenant, root: root),
                    resource: resource)
            ]
            delivery.books.replay(ScopeKey(tenant: tenant, uuid: root), at: message.sequence)
            context.metrics.add("skein_dead_letters_replayed_total", 1, ["stage": context.key.stage])
        } else {
            try await context.deadLetters.write(
                DeadLetter(
                    stage: context.key.stage, tenant: tenant, reason: "undecodable",
                    message: "not encoded as \(delivery.kind.contentType)", stream: SkeinSubjects.processedStream,
                    subject: message.subject, position: EventReference(sequence: message.sequence, index: 0),
                    contentType: delivery.kind.contentType, body: message.payload))
            delivery.books.refuse(1, tenant: tenant, isReplay: message.isReplay)
        }
        let lifetime = delivery.lifetime(of: message)
        try await delivery.exporter.accept(
            items, through: message.sequence, lifetime: lifetime.map { max(.zero, $0) })
        count()
    }

    func count() {
        delivery.count()
        countProjections()
    }

    func sealed(_ snapshot: StageSnapshot, at position: UInt64) -> [UInt8] {
        delivery.settle()
        return ExportSnapshot(projector: snapshot.bytes, ledger: delivery.books.sealed(at: position)).bytes
    }

    func confirmed() -> UInt64 {
        count()
        return delivery.settle()
    }

    func ledger() -> [LedgerRow] {
        let confirmed = delivery.settle()
        return delivery.books.current(confirmed: confirmed).rows
    }

    func flush() { delivery.exporter.requestFlush() }

    func run() async throws {
        await delivery.exporter.run()
        try Task.checkCancellation()
    }
}
