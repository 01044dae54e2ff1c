/// Why a request is not taken: what the client is told. Never a payload, never a secret.
package struct IngestRefusal: Error, Sendable, Hashable {
    /// A short word for counters, of a fixed set.
    package enum Reason: String, Sendable, CaseIterable {
        case unauthorized
        case tenantNotAllowed = "tenant_not_allowed"
        case tenant
        case producer
        case origin
        case host
        case framing
        case path
        case method
        case contentType = "content_type"
        case contentEncoding = "content_encoding"
        case tooLarge = "too_large"
        case rate
        case memory
        case broker
        case stopping
        case webSocket = "websocket"
        case invalidLine = "invalid_line"
        case invalidFlood = "invalid_flood"
        case request
        case conflict
        case unknown
    }

    package let reason: Reason
    package let status: Int
    package let detail: String
    /// When the same may succeed.
    package var retryAfterSeconds: Int?
    /// What the path is asked by.
    package var allow: String?

    package init(_ reason: Reason, _ status: Int, _ detail: String, retryAfterSeconds: Int? = nil, allow: String? = nil)
    {
        self.reason = reason
        self.status = status
        self.detail = detail
        self.retryAfterSeconds = retryAfterSeconds
        self.allow = allow
    }
}
