/// Where the servers are, who we are, and how long to try.
public struct NATSOptions: Sendable {
    /// How the client proves who it is.
    public enum Authentication: Sendable {
        /// By nothing: the server lets everybody in, or asks for a certificate.
        case none
        /// A name and its password.
        case userPassword(user: String, password: String)
        /// A token that the server knows.
        case token(String)
        /// An NKey: the public key (`U…`) and the file that holds its seed. cnats signs with the seed but does not
        /// derive the public key.
        case nkey(publicKey: String, seedFile: String)
        /// A `.creds` file that holds a user JWT and its seed.
        case credentials(file: String)
    }

    /// Encryption; `tls://` URLs and servers that require it use the system's authorities when there are no other
    /// settings.
    public struct TLS: Sendable {
        /// PEM file of the authorities that may sign the server's certificate; `nil` takes the system's.
        public var authorityFile: String?
        /// PEM file of the client's certificate chain; with `keyFile` or not at all.
        public var certificateFile: String?
        /// PEM file of the client's key.
        public var keyFile: String?
        /// Whether the server's certificate is verified, its host name included.
        public var verify: Bool

        /// Takes the paths.
        public init(
            authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, verify: Bool = true
        ) {
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
            self.verify = verify
        }
    }

    package var urls: [String]
    /// The name that the server's monitoring shows.
    package var name: String
    package var authentication: Authentication
    package var tls: TLS?
    /// The longest that connecting takes over all URLs together (name look-up not counted).
    package var connectTimeout: Duration
    /// The pause between attempts to reconnect. They never end by themselves.
    package var reconnectWait: Duration

    package init(
        urls: [String], name: String, authentication: Authentication = .none, tls: TLS? = nil,
        connectTimeout: Duration = .seconds(5), reconnectWait: Duration = .seconds(1)
    ) {
        self.urls = urls
        self.name = name
        self.authentication = authentication
        self.tls = tls
        self.connectTimeout = connectTimeout
        self.reconnectWait = reconnectWait
    }

    /// The URLs without user, password and token: safe to show.
    package var redactedURLs: String { urls.map(Self.redacted).joined(separator: ", ") }

    static func redacted(_ url: String) -> String {
        // Cut at the last "@", because a password may hold one.
        guard let at = url.lastIndex(of: "@") else { return url }
        let host = url[url.index(after: at)...]
        guard let colon = url.firstIndex(of: ":"), url[colon...].hasPrefix("://") else { return String(host) }
        return "\(url[..<colon])://\(host)"
    }
}
