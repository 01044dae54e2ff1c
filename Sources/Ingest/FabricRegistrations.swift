package import ATOF

/// Requests whose records somebody wants to see, and which records are theirs.
///
/// A record belongs to a request if it begins a scope whose metadata names it (`nemo_fabric_request_id`), or if its scope or its parent does.
/// Times are since any fixed moment.
package struct FabricRegistrations<Stream: Sendable>: Sendable {
    package struct Limits: Sendable {
        package var requests = 256
        package var requestsPerTenant = 64
        /// Of a tenant, that are known to belong to a request.
        package var scopesPerTenant = 10_000
        /// How long a request stays of whose records nobody takes any.
        package var idle = Duration.seconds(3600)

        package init() {}
    }

    private struct Request {
        let stream: Stream
        var usedAt: Duration
    }

    private struct Tenant {
        var requests: [String: Request] = [:]
        var scopes: [EventUUID: String] = [:]
    }

    private let limits: Limits
    private var tenants: [String: Tenant] = [:]
    package private(set) var count = 0

    package init(_ limits: Limits = Limits()) { self.limits = limits }

    package var all: [Stream] { tenants.values.flatMap { $0.requests.values.map(\.stream) } }

    package mutating func register(
        _ request: String, _ tenant: String, _ stream: Stream, now: Duration
    ) throws(IngestRefusal) {
        let registered = tenants[tenant]?.requests ?? [:]
        if registered[request] != nil {
            throw IngestRefusal(.conflict, 409, "request_id '\(request)' is already registered")
        }
        if registered.count >= limits.requestsPerTenant || count >= limits.requests {
            throw IngestRefusal(.conflict, 409, "too many requests are registered")
        }
        tenants[tenant, default: Tenant()].requests[request] = Request(stream: stream, usedAt: now)
        count += 1
    }

    package func stream(of request: String, _ tenant: String) -> Stream? { tenants[tenant]?.requests[request]?.stream }

    package mutating func deregister(_ request: String, _ tenant: String) -> Stream? {
        guard var left = tenants[tenant], let removed = left.requests.removeValue(forKey: request) else { return nil }
        count -= 1
        left.scopes = left.scopes.filter { $0.value != request }
        tenants[tenant] = left.requests.isEmpty ? nil : left
        return removed.stream
    }

    /// Whose record an event is; nil for nobody's.
    package mutating func owner(of fields: EventFields, _ tenant: String) -> Stream? {
        guard let known = tenants[tenant] else { return nil }
        var request: String?
        if fields.kind == .scopeStart, !fields.metadata.isEmpty {
            request =
                fields.metadata.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }["nemo_fabric_request_id"]?
                .stringValue
            if let name = request, known.requests[name] == nil { request = nil }
        }
        request = request ?? known.scopes[fields.uuid] ?? fields.parentUUID.flatMap { known.scopes[$0] }
        guard let request, let stream = known.requests[request]?.stream else { return nil }
        if fields.kind == .scopeStart, known.scopes.count < limits.scopesPerTenant {
            tenants[tenant]?.scopes[fields.uuid] = request
        }
        return stream
    }

    /// Takes the requests that nobody has used for too long.
    ///
    /// - Parameter isInUse: somebody looks at the stream.
    package mutating func expire(now: Duration, isInUse: (Stream) -> Bool) -> [Stream] {
        var expired: [Stream] = []
        for (tenant, content) in tenants {
            for (name, request) in content.requests {
                if isInUse(request.stream) {
                    tenants[tenant]?.requests[name]?.usedAt = now
                } else if now - request.usedAt > limits.idle, let stream = deregister(name, tenant) {
                    expired.append(stream)
                }
            }
        }
        return expired
    }
}
