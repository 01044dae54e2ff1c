/// Why a span is exported although its scope did not end.
package enum AbandonReason: String, Sendable, CaseIterable {
    /// Nothing came of its run for too long.
    case idle
    /// Its run has had open spans for too long.
    case maximumAge = "max_age"
    /// Too many spans were open.
    case maximumOpen = "max_open"
}
