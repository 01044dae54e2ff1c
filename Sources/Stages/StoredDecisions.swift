package import ATOF

/// What the owner of a `process` task before has decided of messages that are read again: what of them is stored in PROCESSED.
///
/// The policy may be another one by now, and workers may answer otherwise. What is stored stays stored, so the machine goes by it: the
/// end of a scope follows its start, whatever the policy that holds now would have done to that.
package struct StoredDecisions: Sendable {
    private struct Item: Sendable, Hashable {
        let tenant: String
        let uuid: EventUUID
        let kind: Event.Kind
    }

    private struct Chain: Sendable, Hashable {
        let tenant: String
        let partition: Int
    }

    private var kept: Set<Item> = []
    /// Of the events in between it is known that they are stored or were dropped.
    private var known: [Chain: (after: EventReference, through: EventReference)] = [:]
    /// The last message about which there is anything.
    package private(set) var last: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { last == 0 }

    /// An event is stored.
    package mutating func keep(_ event: Event, tenant: String) {
        kept.insert(Item(tenant: tenant, uuid: event.uuid, kind: event.kind))
    }

    /// Everything that a chain has of the events in between is told with `keep`.
    package mutating func know(
        tenant: String, partition: Int, after: EventReference, through: EventReference
    ) {
        known[Chain(tenant: tenant, partition: partition)] = (after, through)
        last = max(last, through.sequence)
    }

    package mutating func merge(_ other: StoredDecisions) {
        kept.formUnion(other.kept)
        known.merge(other.known) { $1 }
        last = max(last, other.last)
    }

    /// Whether an event is stored; nil when it is not decided, or nobody knows any more.
    func isStored(
        _ uuid: EventUUID, _ kind: Event.Kind, tenant: String, partition: Int, at position: EventReference
    ) -> Bool? {
        // Behind what a chain covers nothing is stored, whatever it is called: there the policy has to look at it.
        guard position.sequence <= last, let range = known[Chain(tenant: tenant, partition: partition)],
            position <= range.through
        else { return nil }
        if kept.contains(Item(tenant: tenant, uuid: uuid, kind: kind)) { return true }
        return position > range.after ? false : nil
    }
}
