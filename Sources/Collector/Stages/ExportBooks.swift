package import ATOF
package import OTLP
package import Projections
package import Stages

/// The ledger of an export task, and what is not in it yet because it is not decided.
///
/// A span counts as delivered, rejected or expired when everything up to its message is confirmed. Until then it is noted here by its
/// position, so that the ledger that is stored with a checkpoint says what became of exactly the events up to there, whatever came since.
package struct ExportBooks: Sendable {
    private struct Emitted: Sendable {
        let position: UInt64
        let run: ScopeKey
        var events: Int
    }

    private var ledger: Ledger<EventUUID>
    /// Ascending positions.
    private var emitted: [Emitted] = []
    private var losses: [ExportLoss] = []
    /// The ledger when the last snapshot was taken.
    private var sealing: Ledger<EventUUID>?

    package init() { ledger = Ledger() }

    package init(snapshot: [UInt8]) throws(SnapshotError) { ledger = try Ledger(snapshot: snapshot) }

    // MARK: What happens

    /// Events came in and spans went out, at a position not below that of the call before.
    ///
    /// - Parameter isReplay: they are of a replayed dead letter.
    package mutating func add(_ output: ProjectionOutput, at position: UInt64, isReplay: Bool = false) {
        for received in output.received {
            add(received.events, .received, received.run)
            if isReplay { add(received.events, .replayed, received.run) }
        }
        for settled in output.settled {
            switch settled.fate {
            case .notProjected: add(settled.events, .notProjected, settled.run)
            case .expired: add(settled.events, .expired, settled.run)
            }
        }
        for span in output.spans { emit(span.events, of: span.run, at: position) }
    }

    /// Events went out that came in at this position or before, which is not below that of the call before.
    package mutating func emit(_ events: Int, of run: ScopeKey, at position: UInt64) {
        if let last = emitted.indices.last, emitted[last].position == position, emitted[last].run == run {
            emitted[last].events += events
        } else {
            emitted.append(Emitted(position: position, run: run, events: events))
        }
    }

    /// A dead letter of this endpoint came back.
    package mutating func replay(_ run: ScopeKey, at position: UInt64) {
        add(1, .received, run)
        add(1, .replayed, run)
        emit(1, of: run, at: position)
    }

    /// Events came in that cannot be read: they are dead letters now.
    package mutating func refuse(_ events: Int, tenant: String, isReplay: Bool) {
        let run = ScopeKey(tenant: tenant, uuid: .noRoot)
        add(events, .received, run)
        if isReplay { add(events, .replayed, run) }
        add(events, .deadLettered, run)
    }

    /// Spans that went out will not be delivered.
    package mutating func lose(_ losses: [ExportLoss]) { self.losses += losses }

    private mutating func add(_ events: Int, _ field: LedgerCounts.Field, _ run: ScopeKey) {
        ledger.add(events, field, tenant: run.tenant, key: run.uuid)
    }

    // MARK: Snapshot

    /// Everything up to here is what the next `sealed` is about.
    package mutating func takeSnapshot() { sealing = ledger }

    /// The ledger of the last snapshot, now that everything up to its position is confirmed. What is decided is in the books from now on.
    package mutating func sealed(at position: UInt64) -> [UInt8] {
        var sealed = sealing ?? ledger
        sealing = nil
        settle(&sealed, through: position)
        settle(&ledger, through: position)
        emitted.removeFirst(emitted.firstIndex { $0.position > position } ?? emitted.count)
        losses.removeAll { $0.position <= position }
        return sealed.snapshot()
    }

    /// The ledger as it is now.
    ///
    /// - Parameter confirmed: everything up to there is delivered, but for the losses.
    package func current(confirmed: UInt64) -> Ledger<EventUUID> {
        var current = ledger
        settle(&current, through: confirmed)
        return current
    }

    private func settle(_ ledger: inout Ledger<EventUUID>, through position: UInt64) {
        var delivered: [ScopeKey: Int] = [:]
        for entry in emitted {
            if entry.position > position { break }
            delivered[entry.run, default: 0] += entry.events
        }
        for loss in losses where loss.position <= position {
            let share = loss.share
            delivered[ScopeKey(tenant: share.tenant, uuid: share.root), default: 0] -= share.events
            ledger.add(
                share.events, loss.reason == .rejected ? .rejected : .expired, tenant: share.tenant, key: share.root)
        }
        for (run, events) in delivered.sorted(by: { $0.key < $1.key }) {
            ledger.add(events, .delivered, tenant: run.tenant, key: run.uuid)
        }
    }
}
