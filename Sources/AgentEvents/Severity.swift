internal import ATOF

/// How serious a mark is (`middleware-guardrails-pii.md` 1.2); `warn` is also written `warning`.
public enum Severity: String, Sendable, Hashable, CaseIterable {
    /// Steps of one operation.
    case trace
    /// For whoever looks for a fault.
    case debug
    /// What normally happens.
    case info
    /// Something that may become a fault.
    case warn
    /// Something has failed.
    case error

    /// The metadata key that holds it.
    package static let key = "nemo_relay.log.severity"

    /// Metadata with the severity.
    ///
    /// - Returns: nil when the metadata is there and no object.
    package func applied(to metadata: JSON) -> JSON? {
        let object: JSON = metadata.isNull ? [:] : metadata
        guard object.value.objectValue != nil else { return nil }
        return object.merging([Severity.key: JSON(rawValue)])
    }
}
