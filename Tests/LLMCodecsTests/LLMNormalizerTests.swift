import ATOF
import LLMCodecs
import Testing

@Suite("LLM normaliser")
struct LLMNormalizerTests {
    @Test("recognises request surfaces as recorded")
    func requestSurfaces() throws {
        for fixture in try Fixtures.lines("detect-request") {
            let name = try #require(fixture["input"]?["event_name"]?.stringValue)
            let surface = fixture["input"]?["body"]?.objectValue.flatMap { Surface.ofRequest($0, hint: name) }
            #expect(surface?.rawValue == fixture["expected"]?["surface"]?.stringValue, "\(fixture["id"] ?? .null)")
        }
    }

    @Test("recognises response surfaces as recorded")
    func responseSurfaces() throws {
        for fixture in try Fixtures.lines("detect-response") {
            let surface = fixture["input"]?.objectValue.flatMap { Surface.ofResponse($0) }
            #expect(surface?.rawValue == fixture["expected"]?["surface"]?.stringValue, "\(fixture["id"] ?? .null)")
        }
    }

    @Test(
        "decodes a request only out of its envelope",
        arguments: [
            (["content": ["messages": []], "headers": [:]], true), (["messages": []], false),
            (["content": ["messages": []]], false), (["content": ["messages": []], "headers": []], false),
            (["content": ["messages": 5], "headers": [:]], false), ("text", false),
        ] as [(JSONValue, Bool)])
    func envelope(data: JSONValue, isDecoded: Bool) {
        #expect((LLMNormalizer.request(profile: nil, data: data, name: "openai") != nil) == isDecoded)
    }

    @Test("decodes recorded start data as recorded")
    func startData() throws {
        for fixture in try Fixtures.lines("detect-start-data") {
            let isDecoded = LLMNormalizer.request(profile: nil, data: fixture["input"], name: "") != nil
            #expect(.bool(isDecoded) == fixture["expected"]?["normalises"], "\(fixture["id"] ?? .null)")
        }
    }

    @Test("tells which recognised bodies can be decoded, as recorded")
    func normalisable() throws {
        for fixture in try Fixtures.lines("detect-request") {
            let name = try #require(fixture["input"]?["event_name"]?.stringValue)
            let data: JSONValue = ["headers": [:], "content": fixture["input"]?["body"] ?? .null]
            let isDecoded = LLMNormalizer.request(profile: nil, data: data, name: name) != nil
            #expect(.bool(isDecoded) == fixture["expected"]?["normalises"], "\(fixture["id"] ?? .null)")
        }
        for fixture in try Fixtures.lines("detect-response") {
            let isDecoded = LLMNormalizer.response(profile: nil, data: fixture["input"]) != nil
            #expect(.bool(isDecoded) == fixture["expected"]?["normalises"], "\(fixture["id"] ?? .null)")
        }
    }

    @Test("prefers the producer's annotation, and decodes when it cannot be read")
    func annotation() {
        let data: JSONValue = ["choices": [["message": ["content": "raw"]]]]
        let good: JSONValue = ["annotated_response": ["message": "annotated"]]
        let bad: JSONValue = ["annotated_response": ["message": 5]]
        #expect(LLMNormalizer.response(profile: good, data: data)?.message == .text("annotated"))
        #expect(LLMNormalizer.response(profile: bad, data: data)?.message == .text("raw"))
        let unknownRole: JSONValue = ["annotated_request": ["messages": [["role": "critic", "content": "x"]]]]
        #expect(LLMNormalizer.annotatedRequest(unknownRole) == nil)
    }

    @Test("does not take an extra member for the message")
    func collision() throws {
        let response = try NormalizedResponse(annotation: JSONObject([("message", ["refusal": "no"]), ("model", "m")]))
        #expect(response.message == nil)
        #expect(response.extra["message"] == ["refusal": "no"])
    }

    @Test("finds the system prompt in instructions, else in the first system or developer message")
    func systemPrompt() throws {
        let messages: JSONValue = [
            ["role": "user", "content": "u"], ["role": "developer", "content": [["type": "text", "text": "d"]]],
        ]
        var annotation = JSONObject([("messages", messages)])
        #expect(try NormalizedRequest(annotation: annotation).systemPrompt == "d")
        annotation["instructions"] = "i"
        #expect(try NormalizedRequest(annotation: annotation).systemPrompt == "i")
    }
}
