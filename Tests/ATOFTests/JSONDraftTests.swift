import ATOF
import Testing

/// What is written from the tape is what is written of the values.
@Suite("JSON draft")
struct JSONDraftTests {
    private static func payload(_ text: String) throws -> RawJSON {
        try #require(try Wire.event(Wire.mark + Wire.text(10, text)).data)
    }

    private static func text(_ draft: JSONDraft, level: Int?) -> String {
        var writer = JSONWriter(level: level)
        writer.write(draft)
        return writer.text
    }

    private static func check(_ text: String) throws {
        let payload = try payload(text)
        for level in [nil, 0, 3] {
            #expect(
                Self.text(.payload(.init(payload)), level: level) == Self.text(.value(payload.value), level: level),
                "\(text.prefix(200))")
        }
        // A value has one text, whichever way it was read.
        #expect(JSONDraft.payload(.init(payload)).value == payload.value)
        payload.withRoot { #expect($0.value == payload.value) }
    }

    @Test(
        "a payload is written as its value",
        arguments: [
            "1", "-0", "1.0", "1e300", "18446744073709551615", "-9223372036854775808", "true", "\"\\u00e9\\n\\\"\"",
            "[]",
            "{}", "[[],{}]", #"{"b":1,"a":{"d":[1,2,{"z":null,"y":false}],"c":"x"}}"#,
            #"{"a":1,"a":2,"b":3,"a":{"c":4}}"#,
            #"{"prefix_of_eight":1,"prefix_o":2,"prefix_of":3,"prefix":4,"":5,"\u0000":6,"a\u0000":7,"a":8}"#,
            #"{"é":1,"e\u0301":2,"z":3,"é":4}"#,
            // What simdjson refuses is read by the policy.
            "18446744073709551616", #"{"a":[1e400,18446744073709551616,{"b":1}]}"#, "{", #"{"a":"\ud800"}"#, "nul",
            String(repeating: "[", count: 300) + String(repeating: "]", count: 300),
        ])
    func payloads(text: String) throws { try Self.check(text) }

    @Test(
        "what lies behind a payload in its batch does not belong to it",
        arguments: [
            // Of 16 bytes, so that nothing is between them.
            ("1234567890123456", "7890"), ("        1234.125", "5e9"), ("            true", "x"),
            ("[1,2,3,4,5,6,[7]", "]"),
            ("[1,2,3,4,5,6,[7,", "8]]"), (#"{"a":1,"b":{"c":"#, "1}}"), (#""a text without "#, "\""),
            (#"[1,2,"a string ""#, #"with a quote"]"#), ("[1,2,3,4,5,6,7]\u{0B}", " "), ("             nul", "l"),
        ])
    func neighbours(text: String, next: String) throws {
        #expect(text.utf8.count == 16)
        let event = try Wire.event(Wire.mark + Wire.text(10, text) + Wire.text(11, next))
        let data = try #require(event.data)
        let copied = Array(text.utf8).withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
        #expect(data.value == copied)
        #expect(data.withRoot { $0.value == copied })
    }

    @Test("objects of every size are put in order, of a repeated key the last value counts", arguments: 0..<80)
    func objects(seed: Int) throws {
        var numbers = Numbers(state: UInt64(seed) &* 7919 &+ 1)
        try Self.check(Self.value(&numbers, depth: 0))
    }

    @Test("a member of a payload")
    func member() throws {
        let payload = try Self.payload(#"{"headers":{},"content":[1],"content":{"b":1,"a":2}}"#)
        let draft = JSONDraft.payload(.init(payload, member: "content"))
        #expect(draft.value == ["a": 2, "b": 1])
        #expect(Self.text(draft, level: nil) == #"{"a":2,"b":1}"#)
    }

    @Test("drafts and values are members of one object, in order")
    func mixed() throws {
        let payload = JSONDraft.payload(.init(try Self.payload(#"{"y":1,"x":2}"#)))
        var object = JSONDraft.Object(JSONObject([("b", 1), ("d", 2), ("f", 3)]))
        object["c"] = payload
        object["a"] = payload
        object["f"] = payload
        object["g"] = .drafts(count: 2) { .value(.int(Int64($0))) }
        object["e"] = .array([payload, .value("e")])
        object["d"] = nil
        object["c"] = .value("again")
        let expected =
            #"{"a":{"x":2,"y":1},"b":1,"c":"again","e":[{"x":2,"y":1},"e"],"f":{"x":2,"y":1},"g":[0,1]}"#
        #expect(Self.text(.object(object), level: nil) == expected)
        #expect(JSONDraft.object(object).value.compactText == expected)
        for level in [0, 1] {
            let draft = JSONDraft.object(object)
            #expect(Self.text(draft, level: level) == Self.text(.value(draft.value), level: level))
        }
    }

    /// One of everything that a sink takes.
    private struct Elements: JSONElements {
        let payload: JSONDraft.Payload
        let count = 2

        func write(_ index: Int, to writer: inout JSONWriter) { describe(index, to: &writer) }
        func write(_ index: Int, to builder: inout JSONValueBuilder) { describe(index, to: &builder) }

        private func describe<Sink: JSONSink & ~Copyable>(_ index: Int, to sink: inout Sink) {
            sink.beginObject()
            sink.key("a")
            sink.beginArray()
            sink.endArray()
            sink.key("b")
            sink.beginObject()
            sink.endObject()
            sink.key("c")
            sink.beginArray()
            for number in [Int64.min, 0, .max] {
                sink.element()
                sink.write(number)
            }
            sink.element()
            sink.write(UInt64.max)
            sink.element()
            sink.write(1.5)
            sink.element()
            sink.write("\"\u{1}ü")
            sink.endArray()
            sink.key("d")
            sink.write(payload)
            sink.key("e")
            sink.write(EventUUID(high: 0x0123_4567_89AB_CDEF, low: UInt64(index)))
            sink.key("f")
            sink.write(EventTime(epochMicroseconds: -1))
            sink.key("g")
            // Later than every year that RFC 3339 can write.
            sink.write(EventTime(epochMicroseconds: .max))
            sink.key("h")
            sink.write(JSONObject([("y", 1), ("x", [])]))
            sink.endObject()
        }
    }

    @Test("what describes itself is written as its value", arguments: [nil, 0, 2])
    func described(level: Int?) throws {
        let payload = JSONDraft.Payload(try Self.payload(#"{"y":1,"x":[{},[],{"z":[2]}]}"#))
        let draft = JSONDraft.elements(Elements(payload: payload))
        #expect(Self.text(draft, level: level) == Self.text(.value(draft.value), level: level))
        let first = try #require(draft.value[0])
        #expect(first["c"] == [.int(.min), 0, .int(.max), .unsigned(.max), 1.5, "\"\u{1}ü"])
        #expect(first["e"] == "01234567-89ab-cdef-0000-000000000000")
        #expect(first["f"] == "1969-12-31T23:59:59.999999+00:00")
        #expect(first["g"] == "294247-01-10T04:00:54.775807+00:00")
        #expect(try JSONParser.parse(Array(Self.text(draft, level: level).utf8)) == draft.value)
    }

    @Test("texts of every length with an escape at every place", arguments: 0..<70)
    func escapes(length: Int) throws {
        for place in 0..<length {
            for special in [UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x1F, 0x00] {
                var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: length)
                bytes[place] = special
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(try JSONParser.parse(JSONValue.string(text).compactText) == .string(text))
            }
        }
    }

    @Test("a payload can be read while another one is")
    func nested() throws {
        let outer = try Self.payload(#"{"a":[1,2,3],"b":"c"}"#)
        outer.withRoot { root in
            let inner = try? JSONParser.parse(#"{"a":"something else"}"#)
            #expect(inner?["a"] == "something else")
            #expect(root["a"]?.elements?.map(\.value) == [1, 2, 3])
            #expect(root["b"]?.stringValue == "c")
            #expect(root["b"]?["c"] == nil)
            #expect(root["absent"] == nil)
            #expect(root.elements == nil)
        }
    }

    @Test("what is longer than expected is written all the same", arguments: [0, 1, 10, 11, 12, 1000])
    func expectations(expected: Int) {
        let value: JSONValue = ["key": "0123456789 and some more, so that it grows", "n": [1, 2, 3]]
        let bytes = JSONWriter.bytes(expected: expected) { $0.write(value) }
        #expect(String(decoding: bytes, as: UTF8.self) == value.compactText)
    }

    // MARK: Random texts

    /// SplitMix64.
    private struct Numbers {
        var state: UInt64

        mutating func next(below limit: Int) -> Int {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return Int((value ^ value >> 31) % UInt64(limit))
        }
    }

    private static let keys = [
        "a", "b", "ab", "role", "content", "messages", "messages_", "function_name", "function_names", "é", "zzzzzzzz",
    ]

    private static func value(_ numbers: inout Numbers, depth: Int) -> String {
        switch numbers.next(below: depth == 0 ? 2 : depth > 3 ? 5 : 8) {
        case 0, 5, 6:
            let members = (0..<numbers.next(below: depth == 0 ? 70 : 6)).map { _ in
                let suffix = numbers.next(below: 3) == 0 ? String(numbers.next(below: 40)) : ""
                return "\"\(keys[numbers.next(below: keys.count)])\(suffix)\" : \(value(&numbers, depth: depth + 1))"
            }
            return "{\(members.joined(separator: ", "))}"
        case 1, 7:
            return
                "[\((0..<numbers.next(below: 5)).map { _ in value(&numbers, depth: depth + 1) }.joined(separator: ","))]"
        case 2: return "\"text \\\" \\\\ \(numbers.next(below: 1000)) \\u00fc\""
        case 3: return "\(numbers.next(below: 1_000_000) - 500_000)"
        default: return "\(Double(numbers.next(below: 1_000_000)) / 1024)"
        }
    }
}
