package import ATOF

/// A finished span, ready to be encoded.
package struct ProjectedSpan: Sendable, Hashable {
    /// OTLP's span kinds, of which two occur (`otel-projections.md` 1.3).
    package enum Kind: Int32, Sendable {
        case `internal` = 1
        case client = 3
    }

    /// How the scope ended (`otel-projections.md` 1.5).
    package enum Status: Sendable, Hashable {
        case unset
        case ok
        case error(message: String)
    }

    /// A mark in the span, or the exception that ended it.
    package struct Event: Sendable, Hashable {
        package let name: String
        /// Nanoseconds since 1970.
        package let time: UInt64
        package let attributes: [Attribute]

        package init(name: String, time: UInt64, attributes: [Attribute]) {
            self.name = name
            self.time = time
            self.attributes = attributes
        }
    }

    package let context: SpanContext
    package let name: String
    package let kind: Kind
    /// Nanoseconds since 1970. The end may lie before the start: producers' clocks are exported as they are.
    package let startTime: UInt64
    package let endTime: UInt64
    package var attributes: [Attribute]
    package var events: [Event]
    package var droppedEvents: UInt32
    package var status: Status

    package init(
        context: SpanContext, name: String, kind: Kind, startTime: UInt64, endTime: UInt64, attributes: [Attribute],
        events: [Event] = [], droppedEvents: UInt32 = 0, status: Status = .unset
    ) {
        self.context = context
        self.name = name
        self.kind = kind
        self.startTime = startTime
        self.endTime = endTime
        self.attributes = attributes
        self.events = events
        self.droppedEvents = droppedEvents
        self.status = status
    }
}

/// Where a span stands in its trace (`otel-projections.md` 1.1).
package struct SpanContext: Sendable, Hashable {
    /// 16 bytes: the UUID of the trace's root.
    package let traceID: EventUUID
    /// 8 bytes, big-endian on the wire: the low half of the event's UUID.
    package let spanID: UInt64
    package let parentSpanID: UInt64?
    /// Whether the parent lives in another process.
    package let isRemote: Bool

    package init(traceID: EventUUID, spanID: UInt64, parentSpanID: UInt64?, isRemote: Bool = false) {
        self.traceID = traceID
        self.spanID = spanID
        self.parentSpanID = parentSpanID
        self.isRemote = isRemote
    }

    /// OTLP span flags: sampled, and whether it is known that the parent is remote and that it is.
    package var flags: UInt32 { isRemote ? 0x301 : 0x101 }

    var isTraceRoot: Bool { parentSpanID == nil }
}
