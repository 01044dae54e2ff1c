import ATOF
import Fuzzing
import Testing

@Suite("JSON writer")
struct JSONWriterTests {
    @Test(
        "writes the shortest number that reads back the same",
        arguments: [
            (0, "0.0"), (-0.0, "-0.0"), (1, "1.0"), (-1.5, "-1.5"), (0.1, "0.1"),
            (0.30000000000000004, "0.30000000000000004"),
            (100, "100.0"), (123_456_789.125, "123456789.125"), (1e-3, "0.001"), (9.99e-4, "0.000999"),
            (1.25e-4, "0.000125"),
            (1e-5, "0.00001"), (1.5e-5, "0.000015"), (9.9e-6, "9.9e-6"), (1e-6, "1e-6"), (-1.234e-7, "-1.234e-7"),
            (1e15, "1000000000000000.0"), (1.5e15, "1500000000000000.0"), (9_007_199_254_740_992, "9007199254740992.0"),
            (9_999_999_999_999_998, "9999999999999998.0"), (1e16, "1e+16"), (1.5e16, "1.5e+16"),
            (-1.2345e22, "-1.2345e+22"),
            (1e100, "1e+100"), (.greatestFiniteMagnitude, "1.7976931348623157e+308"),
            (.leastNonzeroMagnitude, "5e-324"),
            (.infinity, "null"), (-.infinity, "null"), (.nan, "null"),
        ] as [(Double, String)])
    func doubles(number: Double, text: String) {
        #expect(JSONValue.double(number).compactText == text)
    }

    @Test("reads back every double that it writes")
    func doubleRoundTrip() throws {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            let number = Double(bitPattern: random.next())
            guard number.isFinite else { continue }
            #expect(try JSONParser.parse(JSONValue.double(number).compactText) == .double(number))
        }
    }

    @Test(
        "writes integers as such",
        arguments: [
            (.int(0), "0"), (.int(.min), "-9223372036854775808"), (.int(.max), "9223372036854775807"),
            (.unsigned(.max), "18446744073709551615"),
        ] as [(JSONValue, String)])
    func integers(value: JSONValue, text: String) {
        #expect(value.compactText == text)
    }

    @Test(
        "escapes what must be, and nothing else",
        arguments: [
            ("", #""""#), ("a/b é 😀 \u{7F}\u{2028}", "\"a/b é 😀 \u{7F}\u{2028}\""),
            (#"say "hi" \o/"#, #""say \"hi\" \\o/""#),
            ("\u{8}\t\n\u{C}\r", #""\b\t\n\f\r""#), ("\u{0}\u{1}\u{1F}", #""\u0000\u0001\u001f""#),
            ("\na\nb", #""\na\nb""#),
        ])
    func strings(text: String, json: String) throws {
        #expect(JSONValue.string(text).compactText == json)
        #expect(try JSONParser.parse(json) == .string(text))
    }

    @Test("writes no white space and sorts keys by their UTF-8 bytes at every level")
    func objects() throws {
        // In UTF-16 order the emoji would come before U+FF21.
        let value = try JSONParser.parse(
            #"{ "😀" : 1, "Ａ" : [ 1 , { "b" : null, "B" : [] } ], "a.b" : true, "a" : "x", "a-b": {} }"#)
        #expect(value.compactText == #"{"a":"x","a-b":{},"a.b":true,"Ａ":[1,{"B":[],"b":null}],"😀":1}"#)
    }
}
