import ATOF
import LLMCodecs
import Testing

/// The recorded fixtures of all surfaces (`Fixtures/README.md`).
@Suite("Codecs of provider bodies")
struct WireFixtureTests {
    @Test("normalises requests as recorded", arguments: try Fixtures.named("request"))
    func request(fixture: Fixtures.Fixture) throws {
        try check(fixture) { surface, body throws(CodecError) in
            .object(try surface.decodeRequest(body).annotation)
        }
    }

    @Test("normalises responses as recorded", arguments: try Fixtures.named("response"))
    func response(fixture: Fixtures.Fixture) throws {
        try check(fixture) { surface, body throws(CodecError) in
            .object(try surface.decodeResponse(body).annotation)
        }
    }

    @Test("writes edits back as recorded", arguments: try Fixtures.named("encode") + Fixtures.named("edit"))
    func encode(fixture: Fixtures.Fixture) throws {
        let edit = fixture.json["edit"]?.objectValue ?? JSONObject()
        try check(fixture) { surface, body throws(CodecError) in
            let baseline = try surface.decodeRequest(body)
            return try surface.encode(try baseline.edited(edit), baseline: baseline, body: body)
        }
    }

    @Test(
        "writes an unchanged request back byte by byte, whichever way it was made",
        arguments: try Fixtures.named("request"))
    func identity(fixture: Fixtures.Fixture) throws {
        guard fixture.expected != nil else { return }
        let surface = try #require(fixture.surface)
        let baseline = try surface.decodeRequest(fixture.input)
        // In an edit null means to clear, in a request it can be a value.
        let stated = JSONObject(baseline.members.filter { !$0.value.isNull }.map { ($0.key, $0.value) })
        let copy = try baseline.edited(stated)
        #expect(copy == baseline)
        #expect(try surface.encode(copy, baseline: baseline, body: fixture.input) == fixture.input)
        let replaced = baseline.replacing(messages: baseline.messages)
        #expect(replaced == baseline)
    }

    @Test("reads a request's annotation back beside its body", arguments: try Fixtures.named("request"))
    func requestsAreReadBack(fixture: Fixtures.Fixture) throws {
        guard fixture.expected != nil else { return }
        let surface = try #require(fixture.surface)
        for body in WireFixtureTests.variants(
            fixture.input, in: "chatRequest", of: surface,
            names: ["messages", "params", "instructions", "reasoning", "tools"])
        {
            guard let decoded = try? surface.decodeRequest(body) else { continue }
            // Without a tag an annotation can only be told by a body of the same shape.
            if decoded.annotation["api_specific"]?["api"]?.stringValue == nil,
                body.objectValue.flatMap({ Surface.ofRequest($0, hint: "") }) != surface
            {
                continue
            }
            let read = try NormalizedRequest(annotation: decoded.annotation, body: body, name: "")
            #expect(read == decoded)
            #expect(read.annotation == decoded.annotation)
        }
    }

    @Test("reads a response's annotation back beside its body", arguments: try Fixtures.named("response"))
    func responsesAreReadBack(fixture: Fixtures.Fixture) throws {
        guard fixture.expected != nil else { return }
        let surface = try #require(fixture.surface)
        for body in WireFixtureTests.variants(
            fixture.input, in: "chatResponse", of: surface,
            names: ["id", "model", "message", "tool_calls", "finish_reason", "usage", "api_specific"])
        {
            guard let decoded = try? surface.decodeResponse(body) else { continue }
            if decoded.annotation["api_specific"]?["api"]?.stringValue == nil,
                body.objectValue.flatMap(Surface.ofResponse) != surface
            {
                continue
            }
            let read = try NormalizedResponse(annotation: decoded.annotation, data: body)
            #expect(read.members == decoded.members)
            #expect(read.extra == decoded.extra)
        }
    }

    /// The body, and the body with members that are called like those of the model.
    private static func variants(
        _ body: JSONValue, in envelope: String, of surface: Surface, names: [String]
    ) -> [JSONValue] {
        guard let object = body.objectValue else { return [body] }
        var variants = [body]
        for name in names {
            for value in ["boo", 5, [], ["a": 1], ["prompt_tokens": 5], [["id": "c", "name": "g", "args": [:]]]]
                as [JSONValue]
            {
                var outer = object
                if outer[name] == nil {
                    outer[name] = value
                    variants.append(.object(outer))
                }
                guard surface == .ociGenAI, var inner = object[envelope]?.objectValue, inner[name] == nil else {
                    continue
                }
                inner[name] = value
                outer = object
                outer[envelope] = .object(inner)
                variants.append(.object(outer))
            }
        }
        return variants
    }

    private func check(
        _ fixture: Fixtures.Fixture, _ answer: (Surface, JSONValue) throws(CodecError) -> JSONValue
    ) throws {
        let surface = try #require(fixture.surface)
        do throws(CodecError) {
            let output = try answer(surface, fixture.input)
            #expect(output == fixture.expected)
        } catch {
            #expect(error.kind.rawValue == fixture.json["error"]?["kind"]?.stringValue, "\(error.message)")
        }
    }
}
