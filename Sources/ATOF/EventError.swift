/// Why an event is none: names the field and what is wrong with it, never its payload.
package struct EventError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A short word for counters and headers, of a fixed set.
    package enum Reason: String, Sendable, CaseIterable {
        /// Not a `skein.v1.Event` or `EventBatch`.
        case undecodable
        /// Not a JSON object.
        case invalidJSON = "invalid_json"
        case missingField = "missing_field"
        case invalidField = "invalid_field"
    }

    package let reason: Reason
    /// The ATOF key, such as `uuid`; empty when the event as a whole is meant.
    package let field: String
    package let message: String

    package init(_ reason: Reason, field: String = "", _ message: String) {
        self.reason = reason
        self.field = field
        self.message = message
    }

    package var description: String { field.isEmpty ? message : "\(field): \(message)" }
}
