package import ATOF

/// A mark as a log record, ready to be encoded (`otel-projections.md` 5.1).
package struct ProjectedLogRecord: Sendable, Hashable {
    /// Any value of JSON as an attribute: objects are kvlists, a null inside is the text `null`.
    package struct Attribute: Sendable, Hashable {
        package let key: String
        package let value: JSONValue

        package init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The parent's span.
    package struct Context: Sendable, Hashable {
        package let traceID: EventUUID
        package let spanID: UInt64

        package init(traceID: EventUUID, spanID: UInt64) {
            self.traceID = traceID
            self.spanID = spanID
        }
    }

    /// When it happened, and when the log got it; nanoseconds since 1970.
    package let time: UInt64
    package let observedTime: UInt64
    package let severity: LogSeverity
    /// Nil when the mark has no data.
    package let body: JSONValue?
    package let attributes: [Attribute]
    /// Nil when nobody knows the parent.
    package let context: Context?

    package init(
        time: UInt64, observedTime: UInt64, severity: LogSeverity, body: JSONValue?, attributes: [Attribute],
        context: Context?
    ) {
        self.time = time
        self.observedTime = observedTime
        self.severity = severity
        self.body = body
        self.attributes = attributes
        self.context = context
    }
}
