/// Whether a web page that somebody looks at may have made a request, where no token says that it may: browsers post to loopback for any
/// page, and to any address that a page's own name is given (DNS rebinding).
package struct BrowserGuard: Sendable, Hashable {
    /// Origins whose pages may send, such as `https://console.example`.
    package var allowedOrigins: [String]
    /// Names, beside those of loopback, by which a listener on loopback is asked, such as that of a proxy.
    package var allowedHosts: [String]

    package init(allowedOrigins: [String] = [], allowedHosts: [String] = []) {
        self.allowedOrigins = allowedOrigins
        self.allowedHosts = allowedHosts
    }

    /// - Parameters:
    ///   - origin: the header `Origin`, which browsers send with what may change something.
    ///   - host: the header `Host`.
    ///   - isLoopback: the server listens on loopback.
    package func check(origin: String?, host: String?, isLoopback: Bool) throws(IngestRefusal) {
        let name = host.map(BrowserGuard.name)
        if isLoopback, let name, !BrowserGuard.isLoopback(name),
            !allowedHosts.contains(where: { $0.lowercased() == name })
        {
            throw IngestRefusal(
                .host, 403,
                "the Host is not one of loopback: use 127.0.0.1 or localhost, or name it in ingest.allowed_hosts, or configure tokens"
            )
        }
        guard let origin, !allowedOrigins.contains(where: { $0.lowercased() == origin.lowercased() }) else { return }
        guard let place = origin.firstRange(of: "://"), let name,
            BrowserGuard.name(String(origin[place.upperBound...])) == name
        else {
            throw IngestRefusal(
                .origin, 403, "the Origin is not this host: name it in ingest.allowed_origins, or configure tokens")
        }
    }

    /// Without the port, in small letters.
    private static func name(_ host: String) -> String {
        let host = host.lowercased()
        if host.hasPrefix("[") { return String(host.prefix { $0 != "]" }.dropFirst()) }
        return String(host.prefix { $0 != ":" })
    }

    /// - Parameter host: a name, or an address without brackets.
    package static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
