internal import HTTPTransport

extension CollectorConfiguration.Endpoint {
    /// The URL without userinfo and query, which may hold secrets: what is shown.
    package var address: String { HTTPRequest(method: "POST", url: url).redactedURL }
}
