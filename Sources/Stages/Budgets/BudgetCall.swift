package import ATOF

/// Whose calls a budget counts together.
package enum BudgetSubject: Sendable, Hashable {
    case tenant
    case agent(String)
    case trajectory(EventUUID)
}

/// What one budget says about one call: it takes `amount` of `limit`.
package struct BudgetDemand: Sendable, Hashable {
    /// The rule's name, unique in its tenant.
    package let budget: String
    package let subject: BudgetSubject
    package let limit: UInt64
    /// Nanoseconds of a window; windows follow each other from 1970 on, so a minute's begin with the minute. Nil counts as long as the
    /// subject is remembered.
    package let window: UInt64?
    package let amount: UInt64

    package init(budget: String, subject: BudgetSubject, limit: UInt64, window: UInt64? = nil, amount: UInt64 = 1) {
        self.budget = budget
        self.subject = subject
        self.limit = limit
        self.window = window
        self.amount = amount
    }
}

/// A call that is let through if every budget has room for it, and is counted by all of them then.
package struct BudgetCall: Sendable, Hashable {
    /// The same when the call is asked again; counted once while it is remembered.
    package let id: UInt64
    /// In the order in which they are looked at: the first without room is the one that is named.
    package let demands: [BudgetDemand]
    /// Nanoseconds since 1970 on the clock of whoever counts: later it is not counted any more.
    package let deadline: UInt64

    package init(id: UInt64, demands: [BudgetDemand], deadline: UInt64) {
        self.id = id
        self.demands = demands
        self.deadline = deadline
    }

    /// FNV-1a of 64 bits with the finish of splitmix64 over parts of text. It tells calls apart, it keeps nobody out: an agent that wants
    /// to cheat does not ask at all.
    package static func id(_ parts: String...) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for part in parts {
            for byte in part.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            // No part has this byte: it is none of UTF-8.
            hash = (hash ^ 0xFF) &* 0x100_0000_01B3
        }
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        return hash ^ hash >> 31
    }
}

package enum BudgetVerdict: Sendable, Hashable {
    /// Counted, now or when it was asked before.
    case counted
    /// A budget has no room for it. Nothing was counted.
    case exhausted(BudgetDemand, used: UInt64)
    /// The deadline was over before it could be counted.
    case expired
    /// The counters cannot be read or written: says why. Whether it was counted is unknown.
    case unavailable(String)
}
