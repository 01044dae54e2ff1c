internal import ATOF

/// A scope that has started and not ended.
struct OpenSpan: Sendable {
    let uuid: EventUUID
    /// Of the start event.
    let reference: EventReference
    let context: SpanContext
    let name: String
    let kind: ProjectedSpan.Kind
    let startTime: UInt64
    var start: StartAttributes
    /// Promoted metadata of the start, which the end may overrule.
    let promoted: [Attribute]

    var events: [ProjectedSpan.Event] = []
    /// One for each of `events`.
    var marks: [EventReference] = []
    var droppedEvents: UInt32 = 0

    /// Of the first child that failed (`otel-projections.md` 1.5).
    var inheritedErrorType: String?
    var inheritedExceptionType: String?

    /// Limit of the reference's SDK (`otel-projections.md` 2.1); the exception event of the end counts too.
    static let maximumEvents = 128

    mutating func add(_ event: ProjectedSpan.Event, at reference: EventReference) {
        if events.count < OpenSpan.maximumEvents {
            events.append(event)
            marks.append(reference)
        } else {
            droppedEvents += 1
        }
    }
}

/// What a projection knows from the start event.
struct StartAttributes: Sendable {
    var attributes: [Attribute] = []
    /// Attributes that the end event's of the same key replace.
    var replaceable: [Attribute] = []
    /// Exported at the end, when the end event does not say it better.
    var modelName: String?
}
