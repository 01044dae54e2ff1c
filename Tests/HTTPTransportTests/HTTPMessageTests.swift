import HTTPTestServer
import HTTPTransport
import Testing

@Suite("HTTP messages")
struct HTTPMessageTests {
    @Test(
        "names a URL without what may be secret",
        arguments: [
            ("http://host:4318/v1/traces", "http://host:4318/v1/traces"),
            ("https://user:pass@host/v1?api_key=k#f", "https://host/v1"),
            ("https://a@b@host?x=/y@z", "https://host"),
            ("https://host/a@b", "https://host/a@b"),
            ("host:4318?x=://y", "(not an absolute URL)"),
            ("", "(not an absolute URL)"),
        ])
    func redaction(url: String, expected: String) {
        #expect(HTTPRequest(method: "GET", url: url).redactedURL == expected)
    }

    @Test(
        "reads Retry-After as seconds and in the three date forms",
        arguments: [
            ("0", .zero), ("120", .seconds(120)), ("99999999999999999999", .seconds(Int64(Int32.max))),
            ("Sun, 06 Nov 1994 08:49:37 GMT", .seconds(37)), ("Sunday, 06-Nov-94 08:49:37 GMT", .seconds(37)),
            ("Sun Nov  6 08:49:37 1994", .seconds(37)), ("Sun, 06 Nov 1994 08:48:00 GMT", .zero),
            ("soon", nil), ("-5", nil), ("", nil),
        ] as [(String, Duration?)])
    func retryAfter(value: String, expected: Duration?) {
        let response = HTTPResponse(status: 503, headers: [("retry-AFTER", value)])
        #expect(response.retryAfter(unixTime: 784_111_740) == expected)
    }

    @Test("has no wait without Retry-After")
    func noRetryAfter() {
        #expect(HTTPResponse(status: 503).retryAfter(unixTime: 0) == nil)
    }

    @Test("compresses to what gzip reads", arguments: [0, 1, 1_000, 5_000_000], [1, 6, 9])
    func compression(size: Int, level: Int) {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 3 &* 7) }
        let compressed = GZip.compress(bytes, level: level)
        #expect(compressed.prefix(2) == [0x1F, 0x8B])
        #expect(gunzip(compressed) == bytes)
    }
}
