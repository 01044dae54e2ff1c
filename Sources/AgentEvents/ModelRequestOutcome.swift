/// What a request intercept makes of a model request (`middleware-guardrails-pii.md` 5.1).
public struct ModelRequestOutcome: Sendable {
    /// What goes on to the provider.
    public var request: ModelRequest
    /// The normalised request; with a request codec, edits belong here and not into `request.content`.
    public var annotation: JSON?
    /// Published behind the start of the call.
    public var marks: [PendingMark]
    /// What the intercept has saved, as objects with `producer`, `kind`, `applied` and the like.
    public var optimizations: [JSON]

    /// The request that goes on, and what is told about it.
    public init(
        _ request: ModelRequest, annotation: JSON? = nil, marks: [PendingMark] = [], optimizations: [JSON] = []
    ) {
        self.request = request
        self.annotation = annotation
        self.marks = marks
        self.optimizations = optimizations
    }
}
