/// What became of one request, as far as the export machine is concerned.
package enum ExportAnswer: Sendable, Equatable {
    /// The backend has the items, but for `rejected` ones, unknown which, that it refused for good.
    case delivered(rejected: Int, message: String)
    /// A success whose body is not an OTLP answer.
    case deliveredUnreadable
    /// Nobody took the items, and the same request may succeed later.
    case unavailable(reason: String, retryAfter: Duration?)
    /// The endpoint refuses whatever the data is: credentials, route, protocol. A person has to act.
    case endpointRefused(ExportRefusal, retryAfter: Duration?)
    /// The backend refuses something in this request for good.
    case dataRefused(ExportRefusal)
}
