import ATOF
import Fuzzing
import Testing

/// What reads and writes eight bytes at a time, at the places where that begins and ends.
@Suite("JSON by words")
struct JSONMemoryTests {
    @Test("a byte that has to be escaped is found wherever it stands", arguments: 1...40)
    func escapes(length: Int) throws {
        for position in 0..<length {
            for (byte, escape) in [("\"", "\\\""), ("\\", "\\\\"), ("\n", "\\n"), ("\u{1F}", "\\u001f")] {
                let before = String(repeating: "x", count: position)
                let after = String(repeating: "y", count: length - position - 1)
                let value = JSONValue.string(before + byte + after)
                #expect(value.compactText == "\"\(before)\(escape)\(after)\"")
                #expect(try JSONParser.parse(value.compactText) == value)
            }
        }
    }

    @Test("a text of nothing but control characters has room", arguments: [1, 7, 8, 9, 500, 5000])
    func escapesOnly(count: Int) throws {
        let value = JSONValue.string(String(repeating: "\u{1}", count: count))
        #expect(value.compactText == "\"" + String(repeating: "\\u0001", count: count) + "\"")
    }

    @Test("texts beyond ASCII stay as they are", arguments: ["é", "ääääääää", "1234567é", "日本語の文字列", "x\u{0}é"])
    func beyondASCII(text: String) throws {
        let value = JSONValue.object(JSONObject([(text, .string(text))]))
        let parsed = try JSONParser.parse(value.compactText)
        #expect(parsed == value)
        #expect(parsed[text]?.stringValue.map { Array($0.utf8) } == Array(text.utf8))
    }

    @Test("numbers have all their digits", arguments: [0, 9, 10, 99, 100, -1, -10, Int64.max, Int64.min])
    func integers(number: Int64) {
        #expect(JSONValue.int(number).compactText == String(number))
    }

    @Test(
        "members are in the order of their bytes, of a repeated key the last one counts",
        arguments: [2, 31, 32, 33, 200])
    func order(count: Int) throws {
        // Keys that differ in the first bytes, behind them, and in nothing but their length; zeros count as bytes.
        let keys = (0..<count).map { number -> String in
            switch number % 4 {
            case 0: "k\(number)"
            case 1: "a_long_key_\(number)"
            case 2: String(repeating: "z", count: number % 19)
            default: "zero" + String(repeating: "\u{0}", count: number % 7)
            }
        }
        var random = SeededGenerator(seed: 3)
        let pairs = (keys + keys).shuffled(using: &random).enumerated().map { ($1, JSONValue.int(Int64($0))) }
        let object = JSONObject(pairs)
        let expected = Set(keys).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(object.keys == expected)
        for key in expected {
            #expect(object[key] == pairs.last { $0.0 == key }?.1)
            #expect(object[key + "\u{0}missing"] == nil)
        }
        #expect(try JSONParser.parse(object.compactText) == .object(object))
    }

    @Test(
        "an identifier reads back from its text",
        arguments: [(0, 0), (.max, .max), (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210)])
    func identifiers(high: UInt64, low: UInt64) {
        let uuid = EventUUID(high: high, low: low)
        #expect(EventUUID(uuid.description) == uuid)
        #expect(uuid.description.utf8.count == 36)
        #expect(uuid.description == uuid.description.lowercased())
    }
}
