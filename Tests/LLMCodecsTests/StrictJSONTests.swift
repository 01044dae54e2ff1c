import ATOF
import LLMCodecs
import Testing

@Suite("JSON inside of strings")
struct StrictJSONTests {
    @Test(
        "reads arguments strictly, and keeps the text of what is no JSON",
        arguments: [
            ("{\"a\":1}", ["a": 1]), (" 5 ", 5), ("null", .null), ("\"s\"", "s"), ("", ""), ("{oops", "{oops"),
            ("\u{FEFF}{}", "\u{FEFF}{}"), ("[1,]", "[1,]"), ("01", "01"), ("[1e400]", "[1e400]"), ("NaN", "NaN"),
            ("{\"a\":\"1e400\"}", ["a": "1e400"]), ("\"\\ud800\"", "\"\\ud800\""), ("\"a\nb\"", "\"a\nb\""),
            ("18446744073709551616", 18446744073709551616.0), ("\r\n\t[]\n", []), ("\u{A0}1", "\u{A0}1"),
            ("{\"a\":1,\"a\":2}", ["a": 2]), ("18446744073709551615", .unsigned(.max)),
            ("[18446744073709551616,1.5]", [18446744073709551616.0, 1.5]), ("{} {}", "{} {}"),
        ] as [(String, JSONValue)])
    func arguments(text: String, value: JSONValue) {
        #expect(ToolCall.parsedArguments(text) == value)
    }

    @Test("parses arguments of up to 127 levels", arguments: [(127, true), (128, false), (100_000, false)])
    func depth(levels: Int, isParsed: Bool) {
        let text = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        #expect((StrictJSON.value(of: text) != nil) == isParsed)
        let objects = String(repeating: "{\"a\":", count: levels) + "1" + String(repeating: "}", count: levels)
        #expect((StrictJSON.value(of: objects) != nil) == isParsed)
    }
}
