internal import ATOF

/// A scope that has started and not ended.
struct OpenSpan: Sendable {
    /// What is known from payloads. It can be dropped, and made again from the start event and the marks.
    struct Payload: Sendable {
        let name: String
        let kind: ProjectedSpan.Kind
        let startTime: UInt64
        var start: StartAttributes
        /// Promoted metadata of the start, which the end may overrule.
        let promoted: [Attribute]
        /// One for each of the span's marks.
        var events: [ProjectedSpan.Event] = []
    }

    let key: ScopeKey
    let run: ScopeKey
    /// Of the start event.
    let reference: EventReference
    var context: SpanContext
    /// Its start had waited for too long: no span is exported, but children find their parent.
    let isExpired: Bool
    /// It had ended before: its first end was exported, so it is not given up with an end that nobody sent.
    let isRepeated: Bool
    /// Its parent is its run's root, and no such scope has come: it is the root of its trace until one does. (The implicit root of a
    /// producer's stack never comes.)
    var awaitsRoot = false
    /// Nil while it is not held.
    var payload: Payload?
    /// Packed bytes of the events behind `payload`.
    var heldBytes = 0
    var marks: [EventReference] = []
    var droppedEvents: UInt32 = 0

    /// Of the first child that failed (`otel-projections.md` 1.5).
    var inheritedErrorType: String?
    var inheritedExceptionType: String?

    /// Limit of the reference's SDK (`otel-projections.md` 2.1); the exception event of the end counts too.
    static let maximumEvents = 128

    /// The first event that is needed to make the span; a mark may begin before its start when it comes in chunks.
    var firstReference: EventReference { marks.reduce(reference, min) }
}

/// What a projection knows from the start event.
struct StartAttributes: Sendable {
    var attributes: [Attribute] = []
    /// Attributes that the end event's of the same key replace.
    var replaceable: [Attribute] = []
    /// Exported at the end, when the end event does not say it better.
    var modelName: String?
}
