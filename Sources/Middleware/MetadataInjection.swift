package import ATOF

/// The `metadata` component: members that every event gets in its metadata, unless it has them
/// (`middleware-guardrails-pii.md` 6, injectors).
package struct MetadataInjection: Sendable, Hashable {
    /// What the collector knows of an event and its own place.
    package enum Fact: String, Sendable, Hashable, CaseIterable {
        case tenant
        /// The collector's host name and process.
        case collector
        /// Of the collector.
        case version
    }

    /// By key, as they are written. Keys and values are as `InjectedMetadata` has them.
    package var values: [String: JSONValue] = [:]
    package var facts: [String: Fact] = [:]
    /// Before the sanitizers, which then see what was injected.
    package var priority: Int32 = 0

    package init() {}
}
