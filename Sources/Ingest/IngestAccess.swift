internal import SHA2
internal import Stages

/// Who may send events, and whose they are.
package struct IngestAccess: Sendable, Hashable {
    package struct Token: Sendable, Hashable {
        /// The token itself is not kept.
        private let digest: [UInt8]
        /// Nil for every tenant.
        package let tenants: [String]?

        package init(_ text: String, tenants: [String]?) {
            digest = SHA256.digest(Array(text.utf8))
            self.tenants = tenants
        }

        /// Takes the same time wherever they differ.
        func matches(_ other: [UInt8]) -> Bool {
            zip(digest, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0 && digest.count == other.count
        }
    }

    /// What of a request says who sends.
    package struct Credentials: Sendable, Hashable {
        package var authorization: String?
        /// `Skein-Tenant`.
        package var tenantHeader: String?
        /// `Skein-Producer`.
        package var producerHeader: String?
        package var peer: String

        package init(
            authorization: String? = nil, tenantHeader: String? = nil, producerHeader: String? = nil, peer: String
        ) {
            self.authorization = authorization
            self.tenantHeader = tenantHeader
            self.producerHeader = producerHeader
            self.peer = peer
        }
    }

    /// Whose events they are.
    package struct Sender: Sendable, Hashable {
        package let tenant: String
        /// The routing key on EVENTS.
        package let key: String
    }

    /// Empty lets everybody in.
    package var tokens: [Token]
    /// Of requests that name none.
    package var defaultTenant: String

    package init(tokens: [Token] = [], defaultTenant: String = "default") {
        self.tokens = tokens
        self.defaultTenant = defaultTenant
    }

    /// Bytes of a producer's name.
    private static let maximumProducerBytes = 128

    /// - Parameter pathTenant: of `/t/<tenant>/…`.
    package func sender(
        _ credentials: Credentials, pathTenant: String?
    ) throws(IngestRefusal) -> Sender {
        let allowed = try allowedTenants(credentials.authorization)
        if let path = pathTenant, let header = credentials.tenantHeader, path != header {
            throw IngestRefusal(.tenant, 400, "the path and the header Skein-Tenant name different tenants; name one")
        }
        let own = allowed?.count == 1 ? allowed?.first : nil
        let named = pathTenant ?? credentials.tenantHeader
        let place = pathTenant == nil ? "the header Skein-Tenant" : "the path /t/<tenant>/…"
        let tenant = named ?? own ?? defaultTenant
        guard SkeinSubjects.isTenant(tenant), tenant.utf8.count <= 64 else {
            throw IngestRefusal(
                .tenant, 400,
                "\(place) names no tenant that can be: it is up to 64 of a-z, 0-9, _ and -, and not _ alone")
        }
        if let allowed, !allowed.contains(tenant) {
            // Which tenants it is for is the business of whoever configured it.
            throw IngestRefusal(
                .tenantNotAllowed, 403,
                named == nil
                    ? "the token is not for the tenant \(tenant), which counts where none is named: name one of the token's in the header Skein-Tenant or by /t/<tenant>/v1/atof"
                    : "the token is not for the tenant \(tenant), which \(place) names: use one of the token's, or add the tenant to the token's tenants in [[ingest.tokens]]"
            )
        }
        return Sender(tenant: tenant, key: try key(credentials))
    }

    /// Nil for all of them.
    private func allowedTenants(_ authorization: String?) throws(IngestRefusal) -> [String]? {
        if tokens.isEmpty { return nil }
        guard let authorization, !authorization.isEmpty else {
            throw IngestRefusal(
                .unauthorized, 401,
                "Unauthorized: the header Authorization is missing; send \"Authorization: Bearer <token>\" with a token of [[ingest.tokens]]"
            )
        }
        guard let bearer = IngestAccess.bearer(authorization) else {
            throw IngestRefusal(
                .unauthorized, 401, "Unauthorized: the header Authorization must be \"Bearer <token>\"")
        }
        let digest = SHA256.digest(Array(bearer.utf8))
        // All are looked at, so that the time tells nothing.
        var found: Token?
        for token in tokens where token.matches(digest) { found = token }
        guard let found else {
            throw IngestRefusal(
                .unauthorized, 401,
                "Unauthorized: the token of the header Authorization is none of [[ingest.tokens]]; is it complete, and of this collector?"
            )
        }
        return found.tenants
    }

    /// Nil for another scheme, and for none.
    private static func bearer(_ authorization: String) -> String? {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " })
    }

    private func key(_ credentials: Credentials) throws(IngestRefusal) -> String {
        guard let name = credentials.producerHeader else {
            return "ip-" + credentials.peer.map { $0 == "." || $0 == "%" ? "-" : String($0) }.joined()
        }
        let isFit =
            !name.isEmpty && name.utf8.count <= IngestAccess.maximumProducerBytes
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ":"),
                    UInt8(ascii: "@"), UInt8(ascii: "/"), UInt8(ascii: "+"), UInt8(ascii: "="):
                    true
                default: false
                }
            }
        guard isFit else {
            throw IngestRefusal(
                .producer, 400,
                "the header Skein-Producer must be up to 128 of a-z, A-Z, 0-9 and _-:@/+=, or be left out: the peer's address counts then"
            )
        }
        return name
    }
}
