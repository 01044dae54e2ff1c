import ATOF
import Collector
import Testing

@Suite("Codecs without a bus")
struct OfflineCodecTests {
    @Test(
        "names what is wrong with a line",
        arguments: [
            ("[]", "no JSON object"), ("{", "no JSON object"), ("{}", "kind"), ("{\"kind\":\"reqest\"}", "reqest"),
            ("{\"kind\":\"request\",\"input\":{}}", "surface"),
            ("{\"kind\":\"request\",\"surface\":\"openai\",\"input\":{}}", "openai_chat"),
        ])
    func badLine(line: String, names: String) {
        #expect {
            try OfflineCodec.answer(line: Array(line.utf8))
        } throws: { "\($0)".contains(names) }
    }

    @Test("answers in one line, whatever ends a line for its reader")
    func oneLine() throws {
        let line = """
            {"id":"1","kind":"request","surface":"openai_chat","input":{"messages":[],"x":"\u{2028}\u{2029}\u{85}é"}}
            """
        let answer = String(decoding: try OfflineCodec.answer(line: Array(line.utf8)), as: UTF8.self)
        #expect(answer.contains(#""x":"\u2028\u2029\u0085é""#))
    }

    @Test("reads a body with numbers beyond 64 bits")
    func largeNumber() throws {
        let text = "{\"messages\":[],\"x\":18446744073709551616}"
        let answer = try OfflineCodec.normalize(.request, text: Array(text.utf8), surface: nil, name: "")
        #expect(try JSONParser.parse(answer)["x"] == 18446744073709551616.0)
    }

    @Test("recognises the surface of a body, and of the data of an event")
    func detection() throws {
        let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
        func api(_ text: String, surface: String? = nil, name: String = "") throws -> String? {
            let answer = try OfflineCodec.normalize(.request, text: Array(text.utf8), surface: surface, name: name)
            return try JSONParser.parse(answer)["api_specific"]?["api"]?.stringValue
        }
        #expect(try api(body) == "openai_chat")
        #expect(try api(body, name: "anthropic") == "anthropic_messages")
        #expect(try api("{\"headers\":{},\"content\":\(body)}") == "openai_chat")
        #expect(try api(body, surface: "anthropic_messages") == "anthropic_messages")
    }
}
