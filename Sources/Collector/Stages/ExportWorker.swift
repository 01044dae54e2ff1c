internal import ATOF
internal import NATSTransport
internal import OTLP
internal import Projections
internal import Stages

/// Projects the events of one partition and delivers the spans to an endpoint.
actor ExportWorker: ExportingWorker {
    /// Spans whose payloads are read again at a time.
    private static let slice = 64

    var delivery: ExportDelivery
    private let context: StageContext
    private var projector: SpanProjector
    private let policy: CurrentPolicy
    /// That the projector has its prices from.
    private var generation: Int
    private var counted = ProjectionCounters()

    init(_ delivery: ExportDelivery, _ projector: SpanProjector, _ policy: CurrentPolicy, generation: Int) {
        self.delivery = delivery
        self.projector = projector
        self.policy = policy
        self.generation = generation
        context = delivery.context
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
        if delivery.isOwnLetter(message) {
            return try await replay(message, root: SpanEncoder.traceID(ofEncoded: message.payload))
        }
        if policy.generation != generation {
            let version = policy.version
            generation = version.generation
            projector.replace(pricing: version.pricing)
        }
        let lifetime = delivery.lifetime(of: message)
        let (tenant, events, refused) = try await context.events(of: message)
        delivery.books.refuse(refused, tenant: tenant, isReplay: message.isReplay)
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
        delivery.add(batch.output, of: batch.message)
        batch.output = ProjectionOutput()
        if !isComplete, items.isEmpty { return }
        try await delivery.exporter.accept(
            items, through: isComplete ? batch.message.sequence : batch.message.sequence - 1, lifetime: batch.lifetime)
    }

    // MARK: Counts

    func countProjections() {
        let now = projector.counters
        let before = counted
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
        counted = now
        setOpen()
    }

    private func setOpen() {
        context.metrics.set("skein_export_open_spans", Double(projector.openSpanCount), context.labels)
        context.metrics.set("skein_export_held_bytes", Double(projector.heldBytes), context.labels)
    }

    // MARK: Runtime

    func snapshot() -> StageSnapshot {
        delivery.books.takeSnapshot()
        return StageSnapshot(bytes: projector.snapshot(), oldestReference: projector.oldestReference?.sequence)
    }

    func deadline() -> UInt64? { projector.nextDeadline() }
}
