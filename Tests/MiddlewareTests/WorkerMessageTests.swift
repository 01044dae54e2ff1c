import ATOF
import Middleware
import Testing

@Suite("Messages of workers")
struct WorkerMessageTests {
    @Test("both forms of an announcement say the same", arguments: [WorkerEncoding.json, .protobuf])
    func announcement(_ encoding: WorkerEncoding) throws {
        let read = try WorkerMessages.announcement(
            surfaces: [.scopeEnd, .metadataInjector], started: 1_700_000_000_000, leaving: true, encoding: encoding)
        #expect(read.name == "redactor" && read.instance == "one" && read.configDigest == "d1")
        #expect(read.offers.map(\.surface) == [.metadataInjector, .scopeEnd])
        #expect(read.offers.map(\.priority) == [5, 5])
        #expect(read.heartbeat == .seconds(1) && read.started == 1_700_000_000_000)
        #expect(read.isLeaving && read.encoding == encoding)
    }

    private static let valid = """
        {"protocol":1,"name":"a","instance":"i","config_digest":"d","heartbeat_millis":1000,\
        "surfaces":[{"surface":"mark"}]}
        """

    @Test(
        "a wrong announcement is refused, and the field is named",
        arguments: [
            (#""protocol":1"#, #""protocol":2"#, "protocol"), (#""name":"a""#, #""name":"A b""#, "name"),
            (#""name":"a""#, #""name":7"#, "name"), (#""name":"a""#, #""name":"a.b""#, "name"),
            (#""instance":"i""#, #""instance":"""#, "instance"),
            (#""config_digest":"d""#, #""config_digest":"a.*""#, "config_digest"),
            ("1000", "10", "heartbeat_millis"), ("1000", "-1", "heartbeat_millis"),
            ("1000", "90000", "heartbeat_millis"), (#"[{"surface":"mark"}]"#, "[]", "surfaces"),
            (#"[{"surface":"mark"}]"#, #"[{"surface":"tool_execution"}]"#, "surfaces"),
            (#"[{"surface":"mark"}]"#, #"[{"surface":"mark"},{"surface":"mark"}]"#, "surfaces"),
            (#"[{"surface":"mark"}]"#, #"[{"surface":"mark","priority":1.5}]"#, "surfaces"),
            (valid, "[]", ""), (valid, "no JSON", ""),
        ])
    func refused(_ part: String, _ other: String, _ field: String) throws {
        _ = try WorkerAnnouncement(Array(WorkerMessageTests.valid.utf8), contentType: "application/json")
        let changed = WorkerMessageTests.valid.replacing(part, with: other)
        #expect(changed != WorkerMessageTests.valid)
        let error = #expect(throws: WorkerMessageError.self) {
            try WorkerAnnouncement(Array(changed.utf8), contentType: "application/json")
        }
        #expect(error?.field == field)
    }

    @Test("an announcement of an unknown form, or a huge one, is refused")
    func forms() {
        let bytes = Array(WorkerMessageTests.valid.utf8)
        for type in [nil, "", "text/plain"] {
            #expect(throws: WorkerMessageError.self) { try WorkerAnnouncement(bytes, contentType: type) }
        }
        #expect(throws: Never.self) { try WorkerAnnouncement(bytes, contentType: "Application/JSON; charset=utf-8") }
        let huge = bytes + Array(repeating: 0x20, count: WorkerAnnouncement.maximumBytes)
        #expect(throws: WorkerMessageError.self) { try WorkerAnnouncement(huge, contentType: "application/json") }
    }

    private static func reply(
        _ json: String, items: Int = 1, maximum: Int = 1000
    ) throws -> WorkerReply {
        try WorkerReply(Array(json.utf8), encoding: .json, items: items, maximumResultBytes: maximum)
    }

    @Test(
        "both forms of every result say the same",
        arguments: [
            (#"{"unchanged":true}"#, WorkerMessages.varint(1, 1), WorkerResult.unchanged),
            (
                #"{"event":{"data":1,"category_profile":null,"metadata":{"a":"b"}}}"#,
                WorkerMessages.field(
                    2, WorkerMessages.field(1, "1".utf8) + WorkerMessages.field(3, #"{"a":"b"}"#.utf8)),
                .replacement(data: 1, categoryProfile: nil, metadata: ["a": "b"])
            ),
            (#"{"value":{"q":"x"}}"#, WorkerMessages.field(3, #"{"q":"x"}"#.utf8), .value(["q": "x"])),
            (#"{"omitted":true}"#, WorkerMessages.varint(4, 1), .omitted),
            (
                #"{"metadata":{"team":"a"}}"#, WorkerMessages.field(5, #"{"team":"a"}"#.utf8),
                .metadata(JSONObject([("team", "a")]))
            ),
            (
                #"{"verdict":{"allowed":false,"reason":"no"}}"#,
                WorkerMessages.field(6, WorkerMessages.field(2, "no".utf8)), .verdict(isAllowed: false, reason: "no")
            ),
            (
                #"{"error":{"code":"busy","message":"secret"}}"#,
                WorkerMessages.field(7, WorkerMessages.field(1, "busy".utf8)), .failed(code: "busy")
            ),
        ])
    func results(_ json: String, _ packed: [UInt8], _ expected: WorkerResult) throws {
        #expect(try WorkerMessageTests.reply(#"{"results":[\#(json)]}"#) == .results([expected]))
        let reply = try WorkerReply(
            WorkerMessages.field(1, packed), encoding: .protobuf, items: 1, maximumResultBytes: 1000)
        #expect(reply == .results([expected]))
    }

    @Test(
        "a wrong reply is refused without a word of its content",
        arguments: [
            "", "null", "[]", "{}", #"{"results":{}}"#, #"{"results":[]}"#,
            #"{"results":[{"unchanged":true},{"unchanged":true}]}"#,
            #"{"results":[{}]}"#, #"{"results":[{"unchanged":false}]}"#, #"{"results":[{"secret":1}]}"#,
            #"{"results":[{"unchanged":true,"omitted":true}]}"#, #"{"results":[{"event":{"data":"secret"}}]}"#,
            #"{"results":[{"event":{"data":1,"category_profile":null,"metadata":null,"name":"secret"}}]}"#,
            #"{"results":[{"event":{"data":1,"category_profile":"secret","metadata":null}}]}"#,
            #"{"results":[{"metadata":"secret"}]}"#, #"{"results":[{"verdict":{"reason":"secret"}}]}"#,
            #"{"results":[{"value":"\#(String(repeating: "secret", count: 200))"}]}"#,
            #"{"results":[{"value":secret}]}"#,
        ])
    func wrongReplies(_ json: String) {
        let error = #expect(throws: WorkerMessageError.self) { try WorkerMessageTests.reply(json) }
        #expect(error.map { !$0.description.contains("secretsecret") && !$0.message.contains("secret") } == true)
    }

    @Test(
        "a packed reply that is none, too many results, or too large a one is refused",
        arguments: [
            Array("not protobuf".utf8), [], WorkerMessages.field(1, []),
            WorkerMessages.field(1, WorkerMessages.varint(1, 0)),
            Array(repeating: WorkerMessages.field(1, []), count: 5000).flatMap { $0 },
            WorkerMessages.field(1, WorkerMessages.field(3, [])),
            WorkerMessages.field(1, WorkerMessages.field(3, Array(repeating: 0x20, count: 1001))),
            WorkerMessages.field(1, WorkerMessages.field(3, "{".utf8)),
            WorkerMessages.field(1, WorkerMessages.field(2, WorkerMessages.field(2, "[]".utf8))),
            WorkerMessages.field(
                1,
                WorkerMessages.field(
                    2, [1, 3].flatMap { WorkerMessages.field($0, Array(repeating: 0x31, count: 600)) })),
        ])
    func wrongPackedReplies(_ bytes: [UInt8]) {
        #expect(throws: WorkerMessageError.self) {
            try WorkerReply(bytes, encoding: .protobuf, items: 1, maximumResultBytes: 1000)
        }
    }

    @Test("a call's failure has a word, and what is none is not repeated")
    func failedCalls() throws {
        #expect(try WorkerMessageTests.reply(#"{"error":{"code":"overload"}}"#) == .failed(code: "overload"))
        #expect(try WorkerMessageTests.reply(#"{"error":{"code":"my key is sk-1"}}"#) == .failed(code: "unnamed"))
        let packed = WorkerMessages.field(2, WorkerMessages.field(1, "overload".utf8))
        #expect(
            try WorkerReply(packed, encoding: .protobuf, items: 3, maximumResultBytes: 10) == .failed(code: "overload"))
    }

    @Test("a call in JSON holds whole events and values")
    func jsonCall() throws {
        let event = try WorkerMessages.event(
            #"{"kind":"mark","atof_version":"0.1","uuid":"018f0000-0000-7000-8000-000000000001","name":"m","timestamp":1,"data":[1]}"#
        )
        let call = WorkerCall(
            id: "c1", surface: .mark, tenant: "acme", deadline: 5, timeoutMillis: 7,
            items: [.event(event.packed.array), .value(["a": 1.5], name: "search")])
        let json = try JSONParser.parse(call.encoded(as: .json))
        #expect(json["call"] == "c1" && json["surface"] == "mark" && json["tenant"] == "acme")
        #expect(json["deadline_unix_millis"] == 5 && json["timeout_millis"] == 7)
        #expect(json["items"]?[0]?["event"]?["data"] == [1])
        #expect(json["items"]?[0]?["event"]?["uuid"] == "018f0000-0000-7000-8000-000000000001")
        #expect(json["items"]?[1] == ["value": ["a": 1.5], "name": "search"])
    }

    @Test("a packed call is the fields of worker.proto, and a batch's events field is an item's event field")
    func packedCall() {
        let call = WorkerCall(
            id: "c", surface: .toolRequest, tenant: "t", deadline: 300, timeoutMillis: 1,
            items: [.event([1, 2]), .value(.null, name: "n")])
        let expected =
            WorkerMessages.field(1, "c".utf8) + WorkerMessages.varint(2, 10) + WorkerMessages.field(3, "t".utf8)
            + WorkerMessages.varint(4, 300) + WorkerMessages.varint(5, 1)
            + WorkerMessages.field(6, WorkerMessages.field(1, [1, 2]))
            + WorkerMessages.field(6, WorkerMessages.field(2, "null".utf8) + WorkerMessages.field(3, "n".utf8))
        #expect(call.encoded(as: .protobuf) == expected)
    }
}
