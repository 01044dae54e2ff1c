import ATOF
import LLMCodecs
import Testing

@Suite("OpenAI Chat codec")
struct OpenAIChatTests {
    @Test("normalises requests as recorded")
    func requests() throws {
        for fixture in try Fixtures.lines("openai-chat-request") {
            try check(fixture) { body throws(CodecError) in try OpenAIChat.request(body).annotation }
        }
    }

    @Test("normalises responses as recorded")
    func responses() throws {
        for fixture in try Fixtures.lines("openai-chat-response") {
            try check(fixture) { body throws(CodecError) in try OpenAIChat.response(body).annotation }
        }
    }

    private func check(_ fixture: JSONValue, _ decode: (JSONValue) throws(CodecError) -> JSONObject) throws {
        let id = try #require(fixture["id"]?.stringValue)
        let body = try #require(fixture["input"])
        do throws(CodecError) {
            let annotation = try decode(body)
            #expect(.object(annotation) == fixture["expected"], "\(id)")
        } catch {
            #expect(.string(error.kind.rawValue) == fixture["error"]?["kind"], "\(id): \(error.message)")
        }
    }

    @Test(
        "keeps what an annotation says when it is read back",
        arguments: ["openai-chat-request", "openai-chat-response"])
    func annotationsAreReadBack(name: String) throws {
        for fixture in try Fixtures.lines(name) {
            guard let annotation = fixture["expected"]?.objectValue else { continue }
            let read =
                name == "openai-chat-request"
                ? try NormalizedRequest(annotation: annotation).annotation
                : try NormalizedResponse(annotation: annotation).annotation
            #expect(read == annotation)
        }
    }

    @Test(
        "reads arguments strictly, and keeps the text of what is no JSON",
        arguments: [
            ("{\"a\":1}", ["a": 1]), (" 5 ", 5), ("null", .null), ("\"s\"", "s"), ("", ""), ("{oops", "{oops"),
            ("\u{FEFF}{}", "\u{FEFF}{}"), ("[1,]", "[1,]"), ("01", "01"), ("[1e400]", "[1e400]"),
            ("{\"a\":\"1e400\"}", ["a": "1e400"]),
            ("18446744073709551616", 18446744073709551616.0),
        ] as [(String, JSONValue)])
    func arguments(text: String, value: JSONValue) {
        #expect(ToolCall.parsedArguments(text) == value)
    }

    @Test("parses arguments of up to 127 levels", arguments: [(127, true), (128, false)])
    func depth(levels: Int, isParsed: Bool) {
        let text = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        #expect((StrictJSON.value(of: text) != nil) == isParsed)
    }
}
