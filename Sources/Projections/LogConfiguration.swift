package import ATOF

/// How the log endpoints want marks (`otel-projections.md` 7.2).
package struct LogConfiguration: Sendable, Hashable {
    /// Marks below it make no record.
    package var minimumSeverity: LogSeverity
    /// Beyond this number of open scopes the oldest are forgotten; their marks then name no trace.
    package var maximumOpenScopes: Int
    /// A scope that has been open for so many nanoseconds of log time is forgotten; nil never.
    package var maximumAge: UInt64?
    /// How long an ended scope is remembered for those that name it as their parent, nanoseconds of events' time.
    package var completedLifetime = CompletedContexts.usualLifetime
    /// Whose answer counts for scopes that come before their parents, and for second starts.
    package var compatibility: Compatibility

    package init(
        minimumSeverity: LogSeverity = .info, maximumOpenScopes: Int = 131_072, maximumAge: UInt64? = nil,
        compatibility: Compatibility = .skein
    ) {
        self.minimumSeverity = minimumSeverity
        self.maximumOpenScopes = maximumOpenScopes
        self.maximumAge = maximumAge
        self.compatibility = compatibility
    }
}

/// What a log projector turned away, by reason.
package struct LogCounters: Sendable, Hashable {
    /// Marks below the minimum severity.
    package internal(set) var belowSeverity: UInt64 = 0
    /// Marks whose severity is none.
    package internal(set) var invalidSeverities: UInt64 = 0
    /// Marks before 1970 or beyond OTLP's 64 bits of nanoseconds.
    package internal(set) var timestampsOutOfRange: UInt64 = 0
    /// Scopes that were forgotten while they were open.
    package internal(set) var forgottenScopes: UInt64 = 0

    package init() {}
}
