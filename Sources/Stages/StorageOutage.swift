/// When nothing can be stored any more, and when again, told once each by many attempts at the same time.
///
/// An attempt counts for the time in which it was sent: what was sent before an outage does not end it, and what was sent during one that
/// is over does not begin another.
package struct StorageOutage: Sendable {
    /// The time in which an attempt was sent.
    package struct Ticket: Sendable, Hashable { fileprivate let changes: UInt64 }

    package private(set) var isOn = false
    private var changes: UInt64 = 0

    package init() {}

    /// To be asked for before each attempt.
    package var ticket: Ticket { Ticket(changes: changes) }

    /// - Returns: whether an outage begins with it.
    package mutating func failed(_ ticket: Ticket) -> Bool { change(to: true, ticket) }

    /// - Returns: whether an outage ends with it.
    package mutating func stored(_ ticket: Ticket) -> Bool { change(to: false, ticket) }

    private mutating func change(to isOn: Bool, _ ticket: Ticket) -> Bool {
        guard self.isOn != isOn, ticket.changes == changes else { return false }
        self.isOn = isOn
        changes += 1
        return true
    }
}
