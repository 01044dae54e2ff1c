/// One HTTP request with everything that libcurl needs to know about it.
package struct HTTPRequest: Sendable, CustomStringConvertible {
    /// Certificates and checks of an `https` URL.
    package struct TLS: Sendable, Equatable {
        /// PEM file of the authorities to trust instead of the system's.
        package var caFile: String?
        /// PEM file of the certificate that identifies this client.
        package var clientCertificate: String?
        /// PEM file of the key of `clientCertificate`.
        package var clientKey: String?
        /// Accepts any certificate: for trials only.
        package var insecureSkipVerify: Bool

        package init(
            caFile: String? = nil, clientCertificate: String? = nil, clientKey: String? = nil,
            insecureSkipVerify: Bool = false
        ) {
            self.caFile = caFile
            self.clientCertificate = clientCertificate
            self.clientKey = clientKey
            self.insecureSkipVerify = insecureSkipVerify
        }
    }

    /// `GET`, `POST`, … as it is sent.
    package var method: String
    /// An absolute `http` or `https` URL. Userinfo becomes basic authentication.
    package var url: String
    /// Names are tokens, values have no line breaks; anything else is refused before it is sent.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Longest time from the start of the transfer to its end, connecting included; at least a millisecond.
    package var timeout: Duration
    package var tls: TLS

    package init(
        method: String, url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        timeout: Duration = .seconds(10), tls: TLS = TLS()
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.tls = tls
    }

    /// Method and redacted URL: headers and body may hold secrets.
    package var description: String { "\(method) \(redactedURL)" }

    /// The URL without userinfo, query and fragment, which may hold secrets: what messages name.
    package var redactedURL: String {
        let base = url.prefix { $0 != "?" && $0 != "#" }
        guard let scheme = base.firstRange(of: "://") else { return "(not an absolute URL)" }
        let rest = base[scheme.upperBound...]
        let authorityEnd = rest.firstIndex(of: "/") ?? rest.endIndex
        let host = rest[..<authorityEnd].lastIndex(of: "@").map { rest.index(after: $0) } ?? rest.startIndex
        return String(base[..<scheme.upperBound] + rest[host...])
    }

    /// What is wrong with the parts that libcurl would copy unchecked into the head of the request.
    var defect: String? {
        if method.isEmpty || !method.utf8.allSatisfy(\.isTokenByte) { return "the method is not a token" }
        if url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) { return "the URL has spaces or control characters" }
        return headers.lazy.compactMap { HTTPRequest.defect(ofHeader: $0.name, $0.value) }.first
    }

    /// What is wrong with a header; nil when it can be sent.
    package static func defect(ofHeader name: String, _ value: String) -> String? {
        if name.isEmpty || !name.utf8.allSatisfy(\.isTokenByte) { return "the header name '\(name)' is not a token" }
        if value.utf8.contains(where: { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F }) {
            return "the value of header '\(name)' has control characters"
        }
        return nil
    }
}

extension UInt8 {
    /// RFC 9110, 5.6.2.
    fileprivate var isTokenByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default:
            "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}
