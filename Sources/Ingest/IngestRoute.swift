/// What a request is for: the routes of NVIDIA's Fabric collector, each also below `/t/<tenant>`.
package enum IngestRoute: Sendable, Hashable {
    /// `GET /healthz`.
    case health
    /// `POST /v1/atof`.
    case events
    /// `GET /v1/atof` with an upgrade.
    case webSocket
    /// `POST /v1/register`.
    case register
    /// `GET /v1/stream/<request>`.
    case stream(String)
    /// `DELETE /v1/deregister-request/<request>`.
    case deregister(String)

    /// - Parameters:
    ///   - path: decoded.
    ///   - isUpgrade: the request asks to become a WebSocket.
    package static func find(
        method: String, path: String, isUpgrade: Bool
    ) throws(IngestRefusal) -> (route: IngestRoute, tenant: String?) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        var tenant: String?
        if parts.count > 2, parts[0] == "t" {
            tenant = parts[1]
            parts.removeFirst(2)
        }
        if parts == ["healthz"] {
            try allow(method, ["GET", "HEAD"])
            return (.health, tenant)
        }
        if parts == ["v1", "atof"] {
            if isUpgrade, method == "GET" { return (.webSocket, tenant) }
            try allow(method, ["POST"])
            return (.events, tenant)
        }
        if parts == ["v1", "register"] {
            try allow(method, ["POST"])
            return (.register, tenant)
        }
        if parts.count == 3, parts[0] == "v1", !parts[2].isEmpty {
            if parts[1] == "stream" {
                try allow(method, ["GET", "HEAD"])
                return (.stream(parts[2]), tenant)
            }
            if parts[1] == "deregister-request" {
                try allow(method, ["DELETE"])
                return (.deregister(parts[2]), tenant)
            }
        }
        throw IngestRefusal(.path, 404, "Not Found: events go to /v1/atof or /t/<tenant>/v1/atof")
    }

    private static func allow(_ method: String, _ methods: [String]) throws(IngestRefusal) {
        if methods.contains(method) { return }
        let list = methods.joined(separator: ", ")
        throw IngestRefusal(.method, 405, "Method Not Allowed: use \(methods[0])", allow: list)
    }

    /// The kinds of bodies that hold events.
    package enum BodyKind: Sendable, Hashable {
        case lines
        /// One JSON text, which may have line breaks in it.
        case document
    }

    /// - Parameters: the headers of these names; no type counts as lines.
    package static func bodyKind(contentType: String?, contentEncoding: String?) throws(IngestRefusal) -> BodyKind {
        if let encoding = contentEncoding, encoding.lowercased() != "identity" {
            throw IngestRefusal(.contentEncoding, 415, "the body must not be compressed")
        }
        let type = (contentType ?? "").prefix { $0 != ";" && $0 != " " }.lowercased()
        switch type {
        case "", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
            return .lines
        case "application/json": return .document
        default:
            throw IngestRefusal(
                .contentType, 415, "Content-Type must be application/x-ndjson or application/json")
        }
    }
}
