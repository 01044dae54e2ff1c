/// A mark that an intercept asks for; its UUID, parent and time belong to the call (`middleware-guardrails-pii.md` 4.3).
public struct PendingMark: Sendable, Hashable {
    /// Of the mark.
    public var name: String
    /// Most marks have none.
    public var category: String?
    /// An object, or null.
    public var categoryProfile: JSON
    /// The payload.
    public var data: JSON
    /// Of the payload.
    public var schema: EventSchema?
    /// An object if there is a severity.
    public var metadata: JSON
    /// Becomes part of the metadata; a mark whose metadata is no object is dropped then.
    public var severity: Severity?

    /// A mark that is published when its call says so.
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
