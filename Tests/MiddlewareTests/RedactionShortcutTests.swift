import ATOF
import LLMCodecs
import Testing

@testable import Middleware

@Suite("Shortcuts of redaction")
struct RedactionShortcutTests {
    /// All detectors as a user would have them.
    private static func builtins() -> [BuiltinRedaction] {
        Detector.allCases.map { detector in
            var builtin = BuiltinRedaction()
            builtin.action = .redact
            builtin.matcher = .detector(detector)
            builtin.replacement = "<\(detector.rawValue)>"
            return builtin
        }
    }

    @Test("leave nothing that a look at everything would have found", arguments: [Compatibility.skein, .strict])
    func equivalence(_ compatibility: Compatibility) throws {
        let builtins = Self.builtins()
        let chain = try RedactionLines.chain(builtins, compatibility)
        let redactors = try builtins.map { try Redactor($0, compatibility: compatibility) }
        var random = SeededRandom(seed: 11)
        for _ in 0..<1500 {
            func text() -> JSONValue { .string(DetectorTests.text(&random)) }
            let data: JSONValue = [
                "a": text(), "n": .int(Int64.random(in: 0..<(1 << 60), using: &random)),
                "b": [text(), ["c": text()], .string(JSONValue.array([text(), 17]).compactText)],
            ]
            let event = try RedactionLines.event(["data": data, "metadata": ["m": text()]])
            let after = try RedactionLines.apply(chain, to: event)
            func expected(_ document: JSONValue?) -> JSONValue? {
                redactors.reduce(document) { value, redactor in
                    value.flatMap { redactor.redact(document: $0) } ?? value
                }
            }
            #expect(after.data?.value == expected(event.data?.value))
            #expect(after.metadata?.value == expected(event.metadata?.value))
        }
    }

    private static func replacing(_ pattern: String, by replacement: String) -> BuiltinRedaction {
        var builtin = BuiltinRedaction()
        builtin.action = .regexReplace
        builtin.matcher = .pattern(pattern)
        builtin.replacement = replacement
        return builtin
    }

    @Test("find what an earlier profile has brought or put together", arguments: [Compatibility.skein, .strict])
    func broughtByProfiles(_ compatibility: Compatibility) throws {
        // Nothing of this is in the event as it comes, nor behind the first profile; a later one makes a secret, an escape hides one.
        let builtins = [
            Self.replacing("one", by: "two"), Self.replacing("two", by: "joe@example.com"),
            Self.replacing(" at ", by: "@"), Self.replacing("tab", by: "\t4111 1111 1111 1111"),
        ]
        let event = try RedactionLines.event([
            "data": ["a": "one", "b": ["joe at example.com"]], "metadata": ["m": "tab"],
            "category_profile": ["tool_call_id": "one"], "foreign": "x one", "name": "one", "attributes": ["two"],
        ])
        let after = try RedactionLines.apply(
            try RedactionLines.chain(builtins + Self.builtins(), compatibility), to: event)
        #expect(after.data?.value == ["a": "<email>", "b": ["<email>"]])
        #expect(after.metadata?.value["m"] == "\t<credit_card>" || after.metadata?.value["m"] == "\t<phone>")
        if compatibility == .skein {
            #expect(after.name == "<email>")
            #expect(after.attributes == ["<email>"])
            #expect(after.categoryProfile?.value["tool_call_id"] == "<email>")
            #expect(after.unknownFields?.value["foreign"] == "x <email>")
        }
    }

    @Test("see a card's number in a float that has more digits than are written")
    func exponents() throws {
        let matcher = try DetectorMatcher(.creditCard, .skein)
        for text in [#"{"a":1.23456789012e18}"#, "[1.2E+18]", #"{"a":"x","b":12e16}"#] {
            #expect(!Self.candidates(text).isDisjoint(with: matcher.wanted), "\(text)")
        }
        for text in ["[1.2e-18]", #"["1.2e18"]"#, #"{"e18":18}"#] {
            #expect(Self.candidates(text).isDisjoint(with: matcher.wanted), "\(text)")
        }
    }

    private static func candidates(_ text: String) -> DetectorScan.Candidates {
        TextBytes.withBytes(of: text) { DetectorScan.candidates(in: $0, .document) }
    }

    @Test("tell dates from telephone numbers as the detector does")
    func dates() throws {
        let matcher = try DetectorMatcher(.phone, .skein)
        let strict = try DetectorMatcher(.phone, .strict)
        for (text, isDate) in [
            ("2024-01-02", true), ("x2024-12-31T", true), ("at 2024-01-02, then", true), ("2024-13-02", false),
            ("2024-01-02 415", false), ("+2024-01-02", false), ("1 2024-01-02", false), ("2024-01-02-3", false),
            ("2024-01-02.5", false), ("２024-01-02", false),
        ] {
            var text = text
            text.withUTF8 { bytes in
                let candidates = DetectorScan.candidates(in: bytes, .text)
                #expect(
                    candidates.isDisjoint(with: matcher.wanted) == isDate, "\(String(decoding: bytes, as: UTF8.self))")
                #expect(!candidates.isDisjoint(with: strict.wanted))
                if isDate { #expect(matcher.matches(in: bytes).isEmpty) }
            }
        }
    }

    @Test(
        "find credentials in every form of a request's headers",
        arguments: [
            #"{"content":{},"headers":{}}"#, #"{"content":{"headers":{}},"headers":{"X-Api-Key":"k"}}"#,
            #"{"content":{},"headers" : {"x-api-key":"k"}}"#, #"{"content":{},"\u0068eaders":{"x-api-key":"k"}}"#,
            #"{"headers":{},"content":"the \"headers\":{} of","headers":{"x-api-key":"k"}}"#,
        ])
    func headers(text: String) throws {
        var fields = EventFields(
            kind: .scopeStart, uuid: EventUUID(high: 1, low: 2), timestamp: EventTime(epochMicroseconds: 0), name: "n")
        fields.category = "llm"
        fields.data = Array(text.utf8)
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        let after = try RedactionLines.apply(try RedactionLines.chain(), to: event)
        #expect(after.data?.value["headers"] == [:])
    }
}
