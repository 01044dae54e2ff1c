import ATOF
import Testing

@Suite("JSON parser")
struct JSONParserTests {
    @Test(
        "tells the kinds of values apart",
        arguments: [
            ("null", .null), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("1", .int(1)),
            ("1.0", .double(1)),
            ("1e2", .double(100)), ("-9223372036854775808", .int(.min)), ("9223372036854775807", .int(.max)),
            ("9223372036854775808", .unsigned(1 << 63)), ("18446744073709551615", .unsigned(.max)),
            ("1e-400", .double(0)),
            (#""""#, ""), (#""a\u00e9\ud83d\ude00\n\u0000""#, "aé😀\n\0"), ("[]", []), ("{}", [:]),
            ("[1,[2,{}]]", [1, [2, [:]]]),
            (#"{"b":1,"a":{"c":[]}}"#, ["a": ["c": []], "b": 1]),
        ] as [(String, JSONValue)])
    func values(text: String, value: JSONValue) throws {
        #expect(try JSONParser.parse(text) == value)
    }

    @Test(
        "says why it refuses",
        arguments: [
            ("", .syntax), ("  ", .syntax), ("[", .syntax), ("[1,]", .syntax), (#"{"a":1,}"#, .syntax),
            ("1 2", .syntax),
            ("nul", .syntax), (#""abc"#, .syntax), ("NaN", .syntax), ("\u{FEFF}{}", .syntax), ("[1}", .syntax),
            ("18446744073709551616", .number), ("-9223372036854775809", .number), ("1e400", .number), ("01", .number),
            ("1.", .number), ("-", .number), (#""\ud83d""#, .string), (#""\udc00""#, .string),
            (#""\ud83d\u0041""#, .string),
            (#""\q""#, .string), ("\"\u{1}\"", .string), ("\"\t\"", .string),
        ] as [(String, JSONRefusal)])
    func refusals(text: String, refusal: JSONRefusal) {
        #expect(throws: refusal) { try JSONParser.parse(text) }
    }

    @Test(
        "refuses bytes that are not UTF-8",
        arguments: [[0x22, 0xFF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xC0, 0x80, 0x22]])
    func encoding(bytes: [UInt8]) {
        #expect(throws: JSONRefusal.utf8) { try JSONParser.parse(bytes) }
    }

    @Test("bounds the depth, also after it grew for a long text")
    func depth() throws {
        let nested = { (levels: Int) in
            String(repeating: "[", count: levels) + "1" + String(repeating: "]", count: levels)
        }
        for _ in 0..<2 {
            _ = try JSONParser.parse(nested(255))
            #expect(throws: JSONRefusal.depth) { try JSONParser.parse(nested(256)) }
            #expect(throws: JSONRefusal.depth) { try JSONParser.parse(nested(100_000)) }
            let long = String(repeating: "x", count: 1_000_000)
            #expect(try JSONParser.parse("\"\(long)\"") == .string(long))
        }
    }

    @Test("keeps the last value of a repeated key, and orders keys by their bytes")
    func keys() throws {
        let object = try #require(try JSONParser.parse(#"{"b":1,"é":2,"a":3,"b":4,"Z":5,"":6,"a":null}"#).objectValue)
        #expect(object.keys == ["", "Z", "a", "b", "é"])
        #expect(object["b"] == 4)
        #expect(object["a"] == .null)
        #expect(object["c"] == nil)
    }

    @Test("holds many members and elements")
    func many() throws {
        let count = 20_000
        let pairs = (0..<count).reversed().map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        let object = try #require(try JSONParser.parse("{\(pairs)}").objectValue)
        #expect(object.count == count)
        #expect((0..<count).allSatisfy { object["k\($0)"] == .int(Int64($0)) })
        let elements = Array(repeating: "0", count: count).joined(separator: ",")
        #expect(try JSONParser.parse("[\(elements)]").arrayValue?.count == count)
    }
}
