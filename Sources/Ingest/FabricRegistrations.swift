package import ATOF

/// Requests whose records somebody wants to see, and which records are theirs.
///
/// A record belongs to a request if it begins a scope whose metadata names it (`nemo_fabric_request_id`), or if its scope or its parent does.
/// A scope that has ended is still known until there is no room for others: marks and children may be late.
/// Times are since any fixed moment.
package struct FabricRegistrations<Stream: Sendable>: Sendable {
    package struct Limits: Sendable {
        package var requests = 256
        package var requestsPerTenant = 64
        /// Of a tenant, that are known to belong to a request, open ones and ended ones.
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
        /// Those of the scopes that have ended, by when.
        var ended = AgeOrder<EventUUID>()

        mutating func owner(of fields: EventFields, most: Int) -> (stream: Stream, isForgotten: Bool)? {
            var request: String?
            if fields.kind == .scopeStart, !fields.metadata.isEmpty {
                request =
                    fields.metadata.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }["nemo_fabric_request_id"]?
                    .stringValue
                if let name = request, requests[name] == nil { request = nil }
            }
            request = request ?? scopes[fields.uuid] ?? fields.parentUUID.flatMap { scopes[$0] }
            guard let request, let stream = requests[request]?.stream else { return nil }
            var isForgotten = false
            switch fields.kind {
            case .scopeStart:
                ended.remove(fields.uuid)
                if scopes[fields.uuid] == nil, scopes.count >= most, let oldest = ended.removeFirst() {
                    scopes[oldest] = nil
                }
                isForgotten = scopes[fields.uuid] == nil && scopes.count >= most
                if !isForgotten { scopes[fields.uuid] = request }
            case .scopeEnd: if scopes[fields.uuid] != nil { ended.append(fields.uuid) }
            case .mark: break
            }
            return (stream, isForgotten)
        }
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
        for (scope, owner) in left.scopes where owner == request {
            left.scopes[scope] = nil
            left.ended.remove(scope)
        }
        tenants[tenant] = left.requests.isEmpty ? nil : left
        return removed.stream
    }

    /// Whose record an event is; nil for nobody's.
    ///
    /// - Returns: also whether it begins a scope that there is no room for: what follows below it is not found.
    package mutating func owner(of fields: EventFields, _ tenant: String) -> (stream: Stream, isForgotten: Bool)? {
        // In place: a copy of the scopes for each event would be more and more to copy.
        tenants[tenant]?.owner(of: fields, most: limits.scopesPerTenant)
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
