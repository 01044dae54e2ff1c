/// A mark that an intercept asks for; its UUID, parent and time belong to the call (`middleware-guardrails-pii.md` 4.3).
public struct PendingMark: Sendable, Hashable {
    public var name: String
    public var category: String?
    public var categoryProfile: JSON
    public var data: JSON
    public var schema: EventSchema?
    public var metadata: JSON
    public var severity: Severity?

    public init(
        _ name: String, data: JSON = .null, metadata: JSON = .null, severity: Severity? = nil,
        category: String? = nil, categoryProfile: JSON = .null, schema: EventSchema? = nil
    ) {
        self.name = name
        self.category = category
        self.categoryProfile = categoryProfile
        self.data = data
        self.metadata = metadata
        self.severity = severity
        self.schema = schema
    }

    /// The metadata as it is published; nil when the severity cannot be put into it, and the mark is dropped.
    package var publishedMetadata: JSON? {
        guard let severity else { return metadata }
        return severity.applied(to: metadata)
    }
}
