import HTTPTransport
import OTLP
import Testing

@Suite("Export answers")
struct ExportAnswerTests {
    enum Kind { case delivered, unavailable, endpointRefused, dataRefused }

    @Test("judges every status")
    func statuses() {
        let delivered = Set(200..<300)
        let unavailable = Set([408, 425, 429] + Array(500..<600))
        let dataRefused = Set(400..<500).subtracting(unavailable).subtracting([
            401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 421, 426, 431, 451,
        ])
        for status in -1...1000 {
            let expected: Kind =
                if delivered.contains(status) {
                    .delivered
                } else if unavailable.contains(status) {
                    .unavailable
                } else if dataRefused.contains(status) {
                    .dataRefused
                } else {
                    .endpointRefused
                }
            #expect(ExportAnswer(HTTPResponse(status: status), unixTime: 0).kind == expected, "\(status)")
        }
    }

    @Test(
        "reads the partial success",
        arguments: [
            ([], .delivered(rejected: 0, message: "")),
            ([0x0A, 0], .delivered(rejected: 0, message: "")),
            ([0x0A, 2, 0x08, 3], .delivered(rejected: 3, message: "")),
            ([0x0A, 6, 0x08, 3, 0x12, 2, 0x68, 0x69], .delivered(rejected: 3, message: "hi")),
            // Invalid UTF-8 and a line break are repaired, a negative count is none, unknown fields are passed over.
            ([0x0A, 4, 0x12, 2, 0xFF, 0x0A], .delivered(rejected: 0, message: "\u{FFFD} ")),
            (
                [0x0A, 11, 0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
                .delivered(rejected: 0, message: "")
            ),
            ([0x7A, 1, 0, 0x0A, 2, 0x08, 1], .delivered(rejected: 1, message: "")),
            ([0x0A, 9], .deliveredUnreadable),
            (Array("{\"partialSuccess\":{}}".utf8), .deliveredUnreadable),
        ] as [([UInt8], ExportAnswer)])
    func partialSuccess(body: [UInt8], expected: ExportAnswer) {
        #expect(ExportAnswer(HTTPResponse(status: 200, body: body), unixTime: 0) == expected)
    }

    @Test(
        "says what the backend said, in one bounded line",
        arguments: [
            ("application/x-protobuf", [0x08, 3, 0x12, 3, 0x62, 0x61, 0x64], "bad"),
            ("application/x-protobuf; charset=x", [0x12, 2, 0xC3, 0x28], "\u{FFFD}("),
            ("application/x-protobuf", [0x12, 20, 0x62], ""),
            ("text/plain", Array("no\nsuch".utf8), "no such"),
            ("application/json", Array("{}".utf8), "{}"),
            ("text/plain", [UInt8](repeating: 0x61, count: 5000), String(repeating: "a", count: 256)),
            ("text/html", Array("<html>".utf8), ""),
            ("", [0x12, 1, 0x62], ""),
        ])
    func words(type: String, body: [UInt8], expected: String) {
        let response = HTTPResponse(status: 400, headers: [("Content-Type", type)], body: body)
        let refusal = ExportRefusal(status: 400, reason: expected)
        #expect(ExportAnswer(response, unixTime: 0) == .dataRefused(refusal))
    }

    @Test("keeps the wait that the server asks for", arguments: [429, 503, 401])
    func retryAfter(status: Int) {
        let response = HTTPResponse(status: status, headers: [("Retry-After", "Thu, 01 Jan 1970 00:01:00 GMT")])
        switch ExportAnswer(response, unixTime: 50) {
        case .unavailable(_, let wait), .endpointRefused(_, let wait): #expect(wait == .seconds(10))
        case .delivered, .deliveredUnreadable, .dataRefused: Issue.record("judged wrongly")
        }
    }
}

extension ExportAnswer {
    var kind: ExportAnswerTests.Kind {
        switch self {
        case .delivered, .deliveredUnreadable: .delivered
        case .unavailable: .unavailable
        case .endpointRefused: .endpointRefused
        case .dataRefused: .dataRefused
        }
    }
}
