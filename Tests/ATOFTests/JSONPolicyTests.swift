import ATOF
import Testing

@Suite("JSON policy")
struct JSONPolicyTests {
    @Test(
        "reads what simdjson refuses",
        arguments: [
            ("[18446744073709551616]", "[1.8446744073709552e+19]"),
            (#"{"n":-9223372036854775809}"#, #"{"n":-9.223372036854776e+18}"#),
            ("[1e400,-1e400,1]", #"["1e400","-1e400",1]"#),
            (#"["1e400 \" 1e400",1e400]"#, #"["1e400 \" 1e400","1e400"]"#),
            ("[1-2]", #""[1-2]""#), ("[01,1e400]", #""[01,1e400]""#), ("[-]", #""[-]""#),
            (#"{"a":"\ud83d"}"#, #""{\"a\":\"\\ud83d\"}""#), ("\"a\u{1}\"", #""\"a\u0001\"""#),
            ("plain text", #""plain text""#),
            (#"{"a":1"#, #""{\"a\":1""#), (#"{"a":1}{}"#, #""{\"a\":1}{}""#), ("NaN", #""NaN""#), (" ", #"" ""#),
        ])
    func repairs(text: String, repaired: String) throws {
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBufferPointer { JSONPolicy.value(of: $0) } == (try JSONParser.parse(repaired)))
        #expect(bytes.withUnsafeBufferPointer { JSONPolicy.repairedText(of: $0) } == Array(repaired.utf8))
    }

    @Test("writes an integer without end as a string of its digits")
    func digits() {
        let digits = String(repeating: "9", count: 100_000)
        let value = Array("[\(digits)]".utf8).withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
        #expect(value == [.string(digits)])
    }

    @Test(
        "puts U+FFFD where bytes are not UTF-8",
        arguments: [
            (Array(#"{"a":""#.utf8) + [0xFF] + Array(#""}"#.utf8), ["a": "\u{FFFD}"]),
            (Array(#"["a"#.utf8) + [0xC3] + Array(#"",1e400]"#.utf8), ["a\u{FFFD}", "1e400"]),
            ([0xFE, 0x7B], "\u{FFFD}{"),
        ] as [([UInt8], JSONValue)])
    func encoding(bytes: [UInt8], value: JSONValue) {
        #expect(bytes.withUnsafeBufferPointer { JSONPolicy.value(of: $0) } == value)
    }

    @Test("makes a text that is nested too deep one string")
    func depth() {
        let text = String(repeating: "[", count: 300) + String(repeating: "]", count: 300)
        #expect(Array(text.utf8).withUnsafeBufferPointer { JSONPolicy.value(of: $0) } == .string(text))
    }

    @Test("leaves JSON alone", arguments: ["null", " {} ", "[1,2.50,18446744073709551615]", #"{"b":1,"a":2}"#])
    func untouched(text: String) {
        #expect(Array(text.utf8).withUnsafeBufferPointer { JSONPolicy.repairedText(of: $0) } == nil)
    }
}
