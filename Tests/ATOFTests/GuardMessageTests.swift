import ATOF
import Testing

@Suite("Guard messages")
struct GuardMessageTests {
    private static let root = EventUUID(high: 0x0192_0000_0000_7000, low: 0x8000_0000_0000_0001)

    private static var questions: [GuardQuestion] {
        var full = GuardQuestion(name: "search", call: .tool(arguments: ["q": "x", "n": 3, "deep": [1, 2.5, [:]]]))
        full.agent = "researcher"
        full.trajectory = root
        full.parent = EventUUID(high: 1, low: 2)
        full.callID = "call-ü"
        var llm = GuardQuestion(
            name: "openai",
            call: .llm(headers: JSONObject([("x-a", "b")]), content: ["model": "m", "messages": []]))
        llm.agent = "writer"
        return [full, llm, GuardQuestion(name: "now", call: .tool(arguments: .null))]
    }

    @Test("questions come back as they were, in both forms", arguments: questions)
    func questionComesBack(question: GuardQuestion) throws {
        #expect(try GuardQuestion(json: question.json, kind: question.call.kind) == question)
        #expect(try GuardQuestion(packed: question.packed, kind: question.call.kind) == question)
    }

    private static let replies: [GuardReply] = [
        GuardReply(.allow),
        GuardReply(
            .reject(rule: "deny", reason: "destructive"),
            evaluations: [
                .init(name: "audit", outcome: .allowed), .init(name: "deny", outcome: .rejected(reason: "destructive")),
            ]),
        GuardReply(
            .transform(.tool(arguments: ["q": "[REDACTED]"])), evaluations: [.init(name: "a", outcome: .allowed)]),
        GuardReply(.transform(.tool(arguments: .null))),
        GuardReply(.transform(.llm(headers: JSONObject(), content: ["model": "small"]))),
        GuardReply(
            .error(GuardFailure(.ruleFailed, "worker: gone")),
            evaluations: [.init(name: "worker", outcome: .failed("worker: gone"))]),
    ]

    @Test("replies come back as they were, in both forms", arguments: replies)
    func replyComesBack(reply: GuardReply) throws {
        #expect(try GuardReply(json: reply.json) == reply)
        #expect(try GuardReply(packed: reply.packed) == reply)
    }

    @Test("an evaluation has the data that the end of a guardrail scope has in the reference")
    func data() throws {
        let reply = GuardMessageTests.replies[1]
        #expect(
            String(decoding: reply.json, as: UTF8.self)
                == #"{"decision":"reject","evaluations":[{"data":{"allowed":true,"rejected":false},"name":"audit"},"#
                + #"{"data":{"allowed":false,"rejected":true,"rejection_reason":"destructive"},"name":"deny"}],"#
                + #""reason":"destructive","rule":"deny"}"#)
    }

    struct Mistake: Sendable {
        let text: String
        var kind = GuardQuestion.Kind.tool
        let field: String
    }

    @Test(
        "what is wrong with JSON is said with the field's name, and nothing of its content",
        arguments: [
            Mistake(text: "", field: ""), Mistake(text: "{", field: ""), Mistake(text: "[]", field: ""),
            Mistake(text: #"{"name":"a"}"#, field: "arguments"),
            // A caller that takes the first one would do what no rule has seen.
            Mistake(text: #"{"name":"a","name":"b","arguments":{}}"#, field: ""),
            Mistake(text: #"{"name":"a","arguments":{"x":[{"path":"secret","path":"/tmp"}]}}"#, field: ""),
            Mistake(text: #"{"name":"a","argument":{"secret":1}}"#, field: "arguments"),
            Mistake(text: #"{"arguments":{}}"#, field: "name"),
            Mistake(text: #"{"name":"","arguments":{}}"#, field: "name"),
            Mistake(text: #"{"name":["secret"],"arguments":{}}"#, field: "name"),
            Mistake(text: #"{"name":"a","arguments":1,"trajectory":"secret"}"#, field: "trajectory"),
            Mistake(text: #"{"name":"a","arguments":1,"parent":7}"#, field: "parent"),
            Mistake(
                text: #"{"name":"a","arguments":1,"call_id":"\#(String(repeating: "s", count: 257))"}"#,
                field: "call_id"),
            Mistake(text: #"{"name":"a","arguments":1}"#, kind: .llm, field: "request"),
            Mistake(text: #"{"name":"a","request":"secret"}"#, kind: .llm, field: "request"),
            Mistake(text: #"{"name":"a","request":{}}"#, kind: .llm, field: "request.content"),
            Mistake(
                text: #"{"name":"a","request":{"content":1,"headers":["secret"]}}"#, kind: .llm,
                field: "request.headers"),
        ])
    func mistakeIsNamed(mistake: Mistake) throws {
        let error = #expect(throws: GuardMessageError.self) {
            try GuardQuestion(json: Array(mistake.text.utf8), kind: mistake.kind)
        }
        #expect(error?.field == mistake.field)
        #expect(error?.description.contains("secret") == false)
    }

    @Test("a member that is there twice in the JSON of a packed question is named by its field")
    func repeatedPacked() throws {
        let question = GuardQuestion(name: "a", call: .tool(arguments: ["k1": 1, "k2": 2]))
        let text = String(decoding: question.packed, as: UTF8.self).replacing("k2", with: "k1")
        let error = #expect(throws: GuardMessageError.self) {
            try GuardQuestion(packed: Array(text.utf8), kind: .tool)
        }
        #expect(error?.field == "arguments")
    }

    @Test("damaged protobuf is an error, never a crash: every prefix and every changed byte of a message")
    func damage() throws {
        for question in GuardMessageTests.questions {
            let packed = question.packed
            for count in packed.indices {
                if let cut = try? GuardQuestion(packed: Array(packed[..<count]), kind: question.call.kind) {
                    #expect(cut != question)
                }
                for byte: UInt8 in [0, 0x7F, 0x80, 0xFF] {
                    var changed = packed
                    changed[count] = byte
                    _ = try? GuardQuestion(packed: changed, kind: question.call.kind)
                    _ = try? GuardReply(packed: changed)
                }
            }
        }
    }

    @Test("a message of very many fields is refused before memory is taken for them")
    func fields() throws {
        // Field 100 as an empty text, over and over.
        let many = [UInt8]((0..<5000).flatMap { _ in [0xA2, 0x06, 0x00] as [UInt8] })
        #expect(throws: GuardMessageError.self) { try GuardQuestion(packed: many, kind: .tool) }
    }

    @Test(
        "a reply that says nothing known is an error",
        arguments: [
            "{}", #"{"decision":"maybe"}"#, #"{"decision":"transform"}"#, #"{"decision":"error","code":"x"}"#,
            #"{"decision":"allow","evaluations":[{}]}"#,
        ])
    func unknown(text: String) {
        #expect(throws: GuardMessageError.self) { try GuardReply(json: Array(text.utf8)) }
        #expect(throws: GuardMessageError.self) { try GuardReply(packed: []) }
    }
}
