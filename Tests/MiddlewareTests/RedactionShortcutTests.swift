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
