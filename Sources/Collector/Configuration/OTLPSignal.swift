internal import Foundation

/// The signals of OTLP and where they go (`otel-projections.md` 7.1 to 7.3).
enum OTLPSignal: String, CaseIterable {
    case traces, logs, metrics

    /// Of OTLP/HTTP.
    var path: String { "/v1/\(rawValue)" }

    /// The URL that a configured one means: the path is appended to a bare authority without a trailing slash; anything else stays.
    ///
    /// - Returns: nil when it is no URL of HTTP.
    func url(_ text: String) -> String? {
        guard let url = HTTPAddress.url(text) else { return nil }
        return url.path().isEmpty && url.query() == nil ? text + path : text
    }

    /// Where the signal goes when only an endpoint for traces is known.
    ///
    /// - Returns: nil when the traces have a path of their own, which says nothing about other signals.
    func url(derivedFrom traces: String) -> String? {
        guard var parts = URLComponents(string: traces) else { return nil }
        let path = parts.percentEncodedPath
        if path.isEmpty || path == "/" {
            parts.percentEncodedPath = self.path
        } else if path.hasSuffix(OTLPSignal.traces.path) {
            parts.percentEncodedPath = path.dropLast(OTLPSignal.traces.path.count) + self.path
        } else {
            return nil
        }
        return parts.string
    }

    /// The signal whose standard path ends the URL.
    init?(standardPathOf url: String) {
        guard let path = URLComponents(string: url)?.percentEncodedPath,
            let signal = OTLPSignal.allCases.first(where: { path.hasSuffix($0.path) })
        else { return nil }
        self = signal
    }

    /// The same for all URLs that lead to the same place, as far as that can be told without asking a name server.
    static func destination(_ url: String) -> String {
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            var host = parts.host?.lowercased()
        else { return url }
        host = host.trimmingCharacters(in: ["[", "]", "."])
        if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" || isLoopback(host) {
            host = "localhost"
        }
        let port = parts.port ?? (scheme == "https" ? 443 : 80)
        let path = parts.percentEncodedPath.split(separator: "/").joined(separator: "/")
        return "\(scheme)://\(host):\(port)/\(path)" + (parts.percentEncodedQuery.map { "?\($0)" } ?? "")
    }

    private static func isLoopback(_ host: String) -> Bool {
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return numbers.count == 4 && numbers.first == 127 && !numbers.contains(nil)
    }
}
