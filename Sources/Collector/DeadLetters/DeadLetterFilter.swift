internal import Stages

/// Which dead letters are meant; what is nil does not restrict.
package struct DeadLetterFilter: Sendable, Hashable {
    package var stage: String?
    package var tenant: String?
    package var reason: String?
    /// Nanoseconds since 1970, inclusive.
    package var since: Int64?
    /// Nanoseconds since 1970, exclusive.
    package var until: Int64?

    package init(
        stage: String? = nil, tenant: String? = nil, reason: String? = nil, since: Int64? = nil, until: Int64? = nil
    ) {
        self.stage = stage
        self.tenant = tenant
        self.reason = reason
        self.since = since
        self.until = until
    }

    /// Whether it takes every letter.
    package var isEmpty: Bool { self == DeadLetterFilter() }

    var subject: String { SkeinSubjects.dead(stage: stage ?? "*", tenant: tenant ?? "*") }

    func matches(_ letter: StoredLetter) -> Bool {
        (reason == nil || letter.reason == reason) && (since ?? .min) <= letter.time && letter.time < (until ?? .max)
    }
}

/// A dead letter as it is in `SKEIN_DEAD`: whole, also when it was stored in parts.
package struct StoredLetter: Sendable, Hashable {
    /// Of its first part.
    package let sequence: UInt64
    /// Of all its parts, in order.
    package let sequences: [UInt64]
    /// When the first part was stored, nanoseconds since 1970.
    package let time: Int64
    package let stage: String
    package let tenant: String
    package let reason: String
    package let error: String
    /// Where the bytes come from.
    package let stream: String
    package let subject: String
    package let position: String
    package let contentType: String
    /// Of a trajectory: the name under which stores keep it, and which of its revisions this is.
    package var file: String?
    package var revision: UInt64?
    /// Whether parts of it are missing.
    package let isIncomplete: Bool
    package let body: [UInt8]
}
