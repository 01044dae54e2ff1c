internal import CCurl

/// What a server answered, whatever the status.
package struct HTTPResponse: Sendable {
    /// Bytes of a body that are kept. The rest is neither read nor needed: answers to exports are small.
    package static let maxBodyBytes = 1 << 20
    /// Bytes of headers that are kept; later headers are ignored.
    package static let maxHeaderBytes = 64 << 10

    package var status: Int
    /// In the order of arrival, trailers last; names as the server spelled them.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// The body was longer than `maxBodyBytes`.
    package var bodyWasCut: Bool

    package init(
        status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [], bodyWasCut: Bool = false
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.bodyWasCut = bodyWasCut
    }

    /// The first value of a header, its name compared without regard to ASCII case.
    package func header(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name.lowercased() == name }?.value
    }

    /// How long the server asks to wait: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), nil when it is
    /// missing or unreadable.
    ///
    /// - Parameter unixTime: Seconds since 1970 now, for the date form. A date in the past means no wait.
    package func retryAfter(unixTime: Int) -> Duration? {
        guard let value = header("retry-after") else { return nil }
        if !value.isEmpty, value.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) {
            return .seconds(Int64(value) ?? Int64(Int32.max))
        }
        let date = curl_getdate(value, nil)
        return date < 0 ? nil : .seconds(max(0, date - unixTime))
    }
}
