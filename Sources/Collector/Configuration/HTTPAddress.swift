internal import Foundation

/// A configured URL that requests are to be sent to.
enum HTTPAddress {
    /// The URL, if requests can be sent to it: of HTTP, with a host and a port that exists, without spaces.
    static func url(_ text: String) -> URL? {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }), let url = URL(string: text),
            let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme), let host = url.host(),
            !host.isEmpty, isPort(url.port)
        else { return nil }
        return url
    }

    /// Whether there is such a port; none is the default one.
    static func isPort(_ port: Int?) -> Bool { port.map { (1...65_535).contains($0) } ?? true }
}
