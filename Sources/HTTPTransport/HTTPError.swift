internal import CCurl

/// Why there is no answer to a request. Statuses are answers, not errors.
package struct HTTPError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        /// The host name has no address.
        case unresolved
        /// Nothing accepts connections at the address, or it cannot be reached.
        case refused
        case timeout
        /// The handshake failed, or a certificate or key was not accepted.
        case tls
        /// The awaiting task was cancelled, or the client was shut down.
        case cancelled
        /// Everything else: a connection that broke, a malformed URL, an answer that is not HTTP.
        case other
    }

    package let code: Code
    /// Method and URL (no userinfo, no query), then what happened.
    package let message: String

    package var description: String { message }

    init(_ code: Code, _ request: HTTPRequest, _ reason: String) {
        self.code = code
        self.message = "\(request): \(reason)"
    }

    /// - Parameter detail: What libcurl says beyond the meaning of the code, empty when nothing.
    init(_ code: CURLcode, _ request: HTTPRequest, detail: String) {
        let kind: Code =
            switch code {
            case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unresolved
            case CURLE_COULDNT_CONNECT: .refused
            case CURLE_OPERATION_TIMEDOUT: .timeout
            case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
                CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE, CURLE_SSL_INVALIDCERTSTATUS,
                CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_CLIENTCERT, CURLE_SSL_ENGINE_NOTFOUND,
                CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_SHUTDOWN_FAILED:
                .tls
            default: .other
            }
        let meaning = String(cString: curl_easy_strerror(code))
        // The detail of a malformed URL may quote it, userinfo included.
        let mayQuoteURL = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL
        self.init(kind, request, detail.isEmpty || mayQuoteURL ? meaning : "\(meaning) (\(detail))")
    }
}
