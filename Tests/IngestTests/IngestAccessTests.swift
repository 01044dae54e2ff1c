import Ingest
import Testing

@Suite("Who may send events, and whose they are")
struct IngestAccessTests {
    struct Example: Sendable {
        var access = IngestAccess()
        var authorization: String?
        var tenant: String?
        var producer: String?
        var peer = "10.1.2.3"
        var path: String?
        /// Tenant and key, or status and reason.
        let expected: String
    }

    private static let guarded = IngestAccess(
        tokens: [
            .init("one-of-team-a-0000", tenants: ["team-a"]),
            .init("one-of-two-000000", tenants: ["team-a", "team-b"]),
            .init("one-of-all-000000", tenants: nil),
        ], defaultTenant: "main")

    private static let examples: [Example] = [
        .init(expected: "default ip-10-1-2-3"),
        .init(peer: "fe80::1%eth0", expected: "default ip-fe80::1-eth0"),
        .init(tenant: "team-z", producer: "Host:7/a@b", expected: "team-z Host:7/a@b"),
        .init(path: "team-y", expected: "team-y ip-10-1-2-3"),
        .init(tenant: "team-y", path: "team-y", expected: "team-y ip-10-1-2-3"),
        .init(tenant: "team-z", path: "team-y", expected: "400 tenant"),
        .init(tenant: "Team", expected: "400 tenant"),
        .init(tenant: "_", expected: "400 tenant"),
        .init(tenant: "", expected: "400 tenant"),
        .init(path: String(repeating: "a", count: 65), expected: "400 tenant"),
        .init(producer: "", expected: "400 producer"),
        .init(producer: "a.b", expected: "400 producer"),
        .init(producer: "a b", expected: "400 producer"),
        .init(producer: "*", expected: "400 producer"),
        .init(producer: ">", expected: "400 producer"),
        .init(producer: String(repeating: "a", count: 129), expected: "400 producer"),
        .init(access: guarded, expected: "401 unauthorized"),
        .init(access: guarded, authorization: "Bearer wrong", expected: "401 unauthorized"),
        .init(access: guarded, authorization: "Bearer ", expected: "401 unauthorized"),
        .init(access: guarded, authorization: "one-of-all-000000", expected: "401 unauthorized"),
        .init(access: guarded, authorization: "Basic one-of-all-000000", expected: "401 unauthorized"),
        .init(access: guarded, authorization: "bearer  one-of-all-000000", expected: "main ip-10-1-2-3"),
        .init(access: guarded, authorization: "Bearer one-of-all-000000", tenant: "x", expected: "x ip-10-1-2-3"),
        .init(access: guarded, authorization: "Bearer one-of-team-a-0000", expected: "team-a ip-10-1-2-3"),
        .init(
            access: guarded, authorization: "Bearer one-of-team-a-0000", path: "team-b",
            expected: "403 tenant_not_allowed"),
        .init(
            access: guarded, authorization: "Bearer one-of-two-000000", path: "team-b", expected: "team-b ip-10-1-2-3"),
        .init(access: guarded, authorization: "Bearer one-of-two-000000", expected: "403 tenant_not_allowed"),
    ]

    @Test("is decided by path, header and token", arguments: examples)
    func decisions(_ example: Example) {
        let credentials = IngestAccess.Credentials(
            authorization: example.authorization, tenantHeader: example.tenant, producerHeader: example.producer,
            peer: example.peer)
        var found: String
        do throws(IngestRefusal) {
            let sender = try example.access.sender(credentials, pathTenant: example.path)
            found = "\(sender.tenant) \(sender.key)"
        } catch {
            found = "\(error.status) \(error.reason.rawValue)"
        }
        #expect(found == example.expected)
    }

    /// Access, authorization, tenant of header and path, and what the client is told, in part.
    private static let complaints: [(Example, says: [String])] = [
        (.init(access: guarded, expected: "401"), ["Authorization is missing", "Bearer <token>", "[[ingest.tokens]]"]),
        (.init(access: guarded, authorization: "", expected: "401"), ["Authorization is missing"]),
        (.init(access: guarded, authorization: "Basic abc", expected: "401"), ["must be \"Bearer <token>\""]),
        (.init(access: guarded, authorization: "Bearer ", expected: "401"), ["must be \"Bearer <token>\""]),
        (.init(access: guarded, authorization: "Bearer abc", expected: "401"), ["is none of [[ingest.tokens]]"]),
        (.init(tenant: "Team", expected: "400"), ["the header Skein-Tenant names no tenant", "a-z"]),
        (.init(path: "Team", expected: "400"), ["the path /t/<tenant>/", "a-z"]),
        (.init(producer: "a b", expected: "400"), ["the header Skein-Producer", "left out"]),
        (
            .init(access: guarded, authorization: "Bearer one-of-two-000000", expected: "403"),
            ["not for the tenant main", "where none is named", "Skein-Tenant"]
        ),
        (
            .init(access: guarded, authorization: "Bearer one-of-two-000000", tenant: "x", expected: "403"),
            ["not for the tenant x", "the header Skein-Tenant names", "[[ingest.tokens]]"]
        ),
    ]

    @Test("who is turned away is told what was missing or wrong, and where, but never a token", arguments: complaints)
    func complaint(_ example: Example, says parts: [String]) throws {
        let credentials = IngestAccess.Credentials(
            authorization: example.authorization, tenantHeader: example.tenant, producerHeader: example.producer,
            peer: example.peer)
        let refusal = #expect(throws: IngestRefusal.self) {
            try example.access.sender(credentials, pathTenant: example.path)
        }
        let detail = try #require(refusal).detail
        #expect("\(try #require(refusal).status)" == example.expected)
        for part in parts { #expect(detail.contains(part), "\(detail)") }
        for secret in ["one-of", "abc"] { #expect(!detail.contains(secret)) }
    }
}

@Suite("Routes of ingest")
struct IngestRouteTests {
    private static let routes: [(method: String, path: String, upgrade: Bool, expected: String)] = [
        ("POST", "/v1/atof", false, "events -"), ("GET", "/v1/atof", true, "webSocket -"),
        ("GET", "/v1/atof", false, "405 POST"), ("PUT", "/v1/atof", false, "405 POST"),
        ("POST", "/v1/atof", true, "events -"), ("POST", "/t/a/v1/atof", false, "events a"),
        ("GET", "/t/a/v1/atof", true, "webSocket a"), ("POST", "/t//v1/atof", false, "events "),
        ("GET", "/healthz", false, "health -"), ("HEAD", "/healthz", false, "health -"),
        ("POST", "/healthz", false, "405 GET, HEAD"), ("POST", "/v1/register", false, "register -"),
        ("GET", "/v1/register", false, "405 POST"), ("GET", "/v1/stream/r-1", false, "stream(\"r-1\") -"),
        ("GET", "/t/b/v1/stream/r-1", false, "stream(\"r-1\") b"), ("POST", "/v1/stream/r-1", false, "405 GET, HEAD"),
        ("GET", "/v1/stream/", false, "404 -"), ("GET", "/v1/stream/a/b", false, "404 -"),
        ("DELETE", "/v1/deregister-request/x", false, "deregister(\"x\") -"),
        ("GET", "/v1/deregister-request/x", false, "405 DELETE"), ("POST", "/", false, "404 -"),
        ("POST", "", false, "404 -"), ("POST", "/v1/atof/", false, "404 -"), ("POST", "/t/a", false, "404 -"),
        ("POST", "/v2/atof", false, "404 -"), ("POST", "//v1/atof", false, "404 -"),
    ]

    @Test("are found by method and path", arguments: routes)
    func found(_ method: String, _ path: String, _ upgrade: Bool, _ expected: String) {
        var found: String
        do throws(IngestRefusal) {
            let (route, tenant) = try IngestRoute.find(method: method, path: path, isUpgrade: upgrade)
            found = "\(route) \(tenant ?? "-")"
        } catch {
            found = "\(error.status) \(error.allow ?? "-")"
        }
        #expect(found == expected)
    }

    private static let bodies: [(type: String?, encoding: String?, kind: IngestRoute.BodyKind?)] = [
        (nil, nil, .lines), ("application/x-ndjson", nil, .lines),
        ("Application/X-NDJSON; charset=utf-8", "identity", .lines), ("application/json", nil, .document),
        ("text/plain", nil, nil), ("application/x-www-form-urlencoded", nil, nil),
        ("application/x-ndjson", "gzip", nil), ("multipart/form-data; boundary=x", nil, nil),
    ]

    @Test("take lines and documents, and nothing compressed", arguments: bodies)
    func kinds(_ type: String?, _ encoding: String?, _ kind: IngestRoute.BodyKind?) {
        var found: IngestRoute.BodyKind?
        do throws(IngestRefusal) {
            found = try IngestRoute.bodyKind(contentType: type, contentEncoding: encoding)
        } catch {
            #expect(error.status == 415)
        }
        #expect(found == kind)
    }
}

@Suite("Rates of producers")
struct RateLimiterTests {
    @Test("a producer may run into debt once and waits it off; others are not held up")
    func debt() {
        var limiter = RateLimiter(perSecond: 10, burst: 20)
        #expect(limiter.wait("a", now: .zero) == nil)
        limiter.use(20, "a", now: .zero)
        #expect(limiter.wait("a", now: .zero) == nil)
        limiter.use(30, "a", now: .zero)
        #expect(limiter.wait("a", now: .zero) == .seconds(3))
        #expect(limiter.wait("a", now: .seconds(1)) == .seconds(2))
        #expect(limiter.wait("b", now: .zero) == nil)
        #expect(limiter.wait("a", now: .seconds(3)) == nil)
    }

    @Test("remembers the debts when there are too many producers")
    func many() {
        var limiter = RateLimiter(perSecond: 1, burst: 1, maximumBuckets: 10)
        limiter.use(100, "debtor", now: .zero)
        for number in 0..<100 { limiter.use(1, "p\(number)", now: .zero) }
        #expect(limiter.wait("debtor", now: .zero) == .seconds(99))
    }
}
