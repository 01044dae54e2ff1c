package import ATOF

/// Which documents of a store are under way, and what became of them. Pure: a shell reads, sends and says how it ended.
///
/// Of a trajectory one document is under way at a time, of all together so many. What is older than another document of the same
/// trajectory is superseded, so that a revision never follows a newer one to the destination.
package struct StoreQueue: Sendable {
    /// A revision of a trajectory on its way.
    package struct Document: Sendable, Hashable {
        /// Of the trajectory.
        package let subject: String
        /// Where the body is read: `subject`, or the message of a replayed dead letter.
        package let source: String
        /// The sequence of the message that brought it.
        package let position: UInt64
        /// The sequence at which the revision was published: a higher one is newer.
        package let origin: UInt64
        /// Whether it is a replayed dead letter.
        package var isReplay: Bool { source != subject }

        /// What TRAJECTORIES brought as itself.
        package init(subject: String, position: UInt64) {
            self.init(subject: subject, source: subject, position: position, origin: position)
        }

        /// - Parameters:
        ///   - source: the subject of the message that brought a dead letter back.
        ///   - origin: the sequence at which it had been published.
        package init(subject: String, source: String, position: UInt64, origin: UInt64) {
            self.subject = subject
            self.source = source
            self.position = position
            self.origin = origin
        }
    }

    package enum Outcome: Sendable, Hashable, CaseIterable {
        /// The destination has it.
        case stored
        /// There is a newer revision.
        case superseded
        /// The destination refused it for good: it is a dead letter.
        case refused
        /// It has no name that a destination could use.
        case unnamed
        /// The stream holds it no more.
        case expired

        /// As the ledger counts it.
        var field: LedgerCounts.Field {
            switch self {
            case .stored: .delivered
            case .superseded: .superseded
            case .refused: .deadLettered
            case .unnamed: .rejected
            case .expired: .expired
            }
        }
    }

    private enum State: Sendable {
        case waiting
        case underWay
        case ended(Outcome)

        var isOpen: Bool { if case .ended = self { false } else { true } }
    }

    private struct Entry: Sendable {
        let document: Document
        var state = State.waiting
    }

    private let width: Int
    private let limit: Int
    /// What is not in a checkpoint yet, in the order of positions.
    private var entries: [Entry] = []
    /// The index of the first that has not ended.
    private var open = 0
    /// Of everything that is in one.
    private var ledger: Ledger<EventUUID>

    /// - Parameters:
    ///   - width: documents under way at a time.
    ///   - limit: documents above which the queue is full: the first that has not ended, and all behind it.
    package init(width: Int, limit: Int) {
        self.width = width
        self.limit = limit
        ledger = Ledger()
    }

    /// - Throws: `SnapshotError` for the bytes of another version.
    package init(width: Int, limit: Int, snapshot: [UInt8]) throws(SnapshotError) {
        self.width = width
        self.limit = limit
        ledger = try Ledger(snapshot: snapshot)
    }

    package var isFull: Bool { entries.count - open >= limit }

    /// Documents that have not ended.
    package var openCount: Int { entries[open...].count { $0.state.isOpen } }

    /// The lowest position that has not ended; nil when all have.
    package var firstOpen: UInt64? { open < entries.count ? entries[open].document.position : nil }

    // MARK: What happens

    /// A document came, at a position above all before.
    ///
    /// - Returns: what is to be sent now, and what ended without it.
    package mutating func arrived(_ document: Document) -> (start: [Document], superseded: [Document]) {
        var entry = Entry(document: document)
        var superseded: [Document] = []
        for index in entries.indices[open...]
        where entries[index].document.subject == document.subject && entries[index].state.isOpen {
            if entries[index].document.origin > document.origin {
                entry.state = .ended(.superseded)
            } else if case .waiting = entries[index].state {
                entries[index].state = .ended(.superseded)
                superseded.append(entries[index].document)
            }
        }
        if !entry.state.isOpen { superseded.append(document) }
        entries.append(entry)
        return (start(), superseded)
    }

    /// A document that was under way has ended.
    ///
    /// - Returns: what is to be sent now.
    package mutating func ended(_ document: Document, _ outcome: Outcome) -> [Document] {
        guard let index = entries[open...].firstIndex(where: { $0.document.position == document.position }) else {
            return []
        }
        entries[index].state = .ended(outcome)
        return start()
    }

    private mutating func start() -> [Document] {
        while open < entries.count, !entries[open].state.isOpen { open += 1 }
        var busy: Set<String> = []
        for entry in entries[open...] {
            if case .underWay = entry.state { busy.insert(entry.document.subject) }
        }
        var started: [Document] = []
        for index in entries.indices[open...] where busy.count < width {
            guard case .waiting = entries[index].state, busy.insert(entries[index].document.subject).inserted else {
                continue
            }
            entries[index].state = .underWay
            started.append(entries[index].document)
        }
        return started
    }

    // MARK: Books

    /// The books up to a position, all of which has ended, as the checkpoint keeps them; what is in them is forgotten here.
    package mutating func sealed(at position: UInt64) -> [UInt8] {
        let sealed = entries.prefix { $0.document.position <= position }
        for entry in sealed { StoreQueue.enter(entry, into: &ledger) }
        entries.removeFirst(sealed.count)
        open = max(0, open - sealed.count)
        return ledger.snapshot()
    }

    /// The ledger as it is now, in documents.
    package var rows: Ledger<EventUUID> {
        var rows = ledger
        for entry in entries { StoreQueue.enter(entry, into: &rows) }
        return rows
    }

    private static func enter(_ entry: Entry, into ledger: inout Ledger<EventUUID>) {
        guard let (tenant, id) = SkeinSubjects.trajectory(of: entry.document.subject) else { return }
        // Whoever publishes there may call it anything.
        let key = EventUUID(id) ?? EventUUID(high: 0, low: 0)
        ledger.add(1, .received, tenant: tenant, key: key)
        if entry.document.isReplay { ledger.add(1, .replayed, tenant: tenant, key: key) }
        if case .ended(let outcome) = entry.state { ledger.add(1, outcome.field, tenant: tenant, key: key) }
    }
}
