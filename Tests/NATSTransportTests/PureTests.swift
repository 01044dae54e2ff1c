import Testing

@testable import NATSTransport

@Suite("Parsing")
struct ParsingTests {
    @Test(
        "reads the place of a delivered message from both forms of the ack subject",
        arguments: [
            "$JS.ACK.S.c-1.1.42.7.1700000000000000001.3",
            "$JS.ACK.hub.ABCDEF.S.c-1.1.42.7.1700000000000000001.3",
            "$JS.ACK._.ABCDEF.S.c-1.1.42.7.1700000000000000001.3.xyz",
        ])
    func ackSubject(text: String) throws {
        let ack = try #require(AckSubject(text))
        #expect(ack.consumer == "S.c-1")
        #expect(ack.streamSequence == 42)
        #expect(ack.consumerSequence == 7)
        #expect(ack.timestamp == 1_700_000_000_000_000_001)
        #expect(ack.pending == 3)
    }

    @Test(
        "refuses what is no ack subject",
        arguments: [
            "", "$JS.ACK.", "$JS.ACK.S.c.1.2.3.4", "$JS.ACK.S.c.1.x.3.4.5", "$JS.ACK.a.S.c.1.2.3.4.5", "_INBOX.a.1",
        ])
    func noAckSubject(text: String) {
        #expect(AckSubject(text) == nil)
    }

    @Test(
        "reads publish acks",
        arguments: [
            (#"{"stream":"S","seq":12}"#, PubAck(stream: "S", sequence: 12, duplicate: false)),
            (#"{"stream":"S", "seq":12,"duplicate": true}"#, PubAck(stream: "S", sequence: 12, duplicate: true)),
            (#"{"stream":"S","domain":"hub","seq":12}"#, PubAck(stream: "S", sequence: 12, duplicate: false)),
            (
                #"{"stream":"S","seq":18446744073709551615}"#,
                PubAck(stream: "S", sequence: .max, duplicate: false)
            ),
        ])
    func pubAck(json: String, ack: PubAck) throws {
        #expect(try PubAck.parse(Array(json.utf8), subject: "s") == ack)
    }

    @Test(
        "maps refused publishes to codes",
        arguments: [
            (
                #"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"},"stream":"S","seq":0}"#,
                NATSError.Code.wrongLastSequence
            ),
            (#"{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}"#, .wrongLastSequence),
            (#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#, .streamFull),
            (#"{"error":{"code":400,"err_code":10054,"description":"too large"}}"#, .payloadTooLarge),
            (#"{"error":{"code":500,"err_code":1,"description":"?"}}"#, .api(code: 500, errCode: 1)),
            (#"{"seq":1}"#, .protocolViolation), ("", .protocolViolation),
            (#"{"stream":"S","seq":"#, .protocolViolation),
        ])
    func refusedPublish(json: String, code: NATSError.Code) {
        #expect {
            try PubAck.parse(Array(json.utf8), subject: "s")
        } throws: {
            ($0 as? NATSError)?.code == code
        }
    }

    @Test(
        "tells errors that pass from those that stay",
        arguments: [
            (400, 10005, NATSError.Code.unavailable, true), (503, 10008, .unavailable, true),
            (503, 10004, .unavailable, true), (500, 10009, .unavailable, true), (500, 10118, .unavailable, true),
            (500, 10119, .unavailable, true), (409, 10158, .unavailable, true), (503, 10163, .unavailable, true),
            (429, 10167, .unavailable, true), (503, 10023, .streamFull, true), (500, 10047, .streamFull, true),
            (500, 10041, .api(code: 500, errCode: 10041), true), (503, 10039, .api(code: 503, errCode: 10039), true),
            (500, 10052, .configuration, false), (500, 10074, .configuration, false), (400, 10058, .nameTaken, false),
            (400, 10071, .wrongLastSequence, false), (400, 10164, .wrongLastSequence, false),
            (404, 10059, .notFound, false), (404, 10014, .notFound, false), (404, 10037, .noMessage, false),
            (400, 10065, .api(code: 400, errCode: 10065), false),
        ] as [(Int, Int, NATSError.Code, Bool)])
    func serverErrors(code: Int, errCode: Int, expected: NATSError.Code, isTemporary: Bool) {
        let error = NATSError.api(APIError(code: code, errCode: errCode, description: "words"), about: "S")
        #expect(error.code == expected)
        #expect(error.isTemporary == isTemporary)
        #expect(error.message.contains("S") && error.message.contains("words"))
    }

    @Test(
        "reads the server's times",
        arguments: [
            ("1970-01-01T00:00:00Z", Int64(0)), ("2024-02-29T12:30:45.5Z", 1_709_209_845_500_000_000),
            ("2024-03-01T00:00:00.123456789Z", 1_709_251_200_123_456_789),
            ("2024-03-01T02:00:00+02:00", 1_709_251_200_000_000_000),
        ])
    func time(text: String, nanoseconds: Int64) {
        #expect(ServerTime.nanoseconds(text) == nanoseconds)
    }

    @Test(
        "refuses what is no time",
        arguments: [
            "", "2024", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "x024-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
            "2262-05-01T00:00:00Z",
        ])
    func noTime(text: String) {
        #expect(ServerTime.nanoseconds(text) == nil)
    }

    @Test("compares header names without case and keeps repeated ones")
    func headers() {
        var headers: NATSHeaders = ["Traceparent": "a"]
        headers.add("X", "1")
        headers.add("X", "2")
        #expect(headers["traceparent"] == "a")
        #expect(headers["x"] == "1")
        headers["TRACEPARENT"] = "b"
        #expect(headers.pairs.count == 3)
        #expect(headers["Traceparent"] == "b")
    }

    @Test(
        "refuses headers that would forge others",
        arguments: [("a", "b\r\nc: d"), ("a:b", "c"), ("", "c"), ("a", "\0")])
    func forgedHeaders(name: String, value: String) {
        var headers = NATSHeaders()
        headers.add(name, value)
        #expect(!headers.isValid)
    }

    @Test(
        "takes secrets out of URLs",
        arguments: [
            ("nats://user:p@ss@host:4222", "nats://host:4222"), ("user:pass@host", "host"),
            ("nats://token@host:1", "nats://host:1"), ("nats://host:1", "nats://host:1"),
        ])
    func redaction(url: String, shown: String) {
        #expect(NATSOptions.redacted(url) == shown)
    }

    @Test("names the fields in which stream configurations differ")
    func differences() {
        var wanted = StreamConfiguration(name: "S", subjects: ["a"])
        wanted.maxBytes = 100
        var found = wanted
        found.duplicateWindow = .seconds(120)
        #expect(wanted.differences(from: found).isEmpty)
        found.maxBytes = nil
        found.discard = .new
        #expect(
            wanted.differences(from: found) == ["discard is new, wanted old", "max_bytes is not set, wanted 100"])
    }
}
