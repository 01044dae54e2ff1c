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

    @Test("writes edits back as recorded", arguments: try Fixtures.named("encode"))
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

    @Test("reads back what an annotation says", arguments: ["request", "response"])
    func annotationsAreReadBack(name: String) throws {
        for fixture in try Fixtures.named(name) {
            // A provider's member called message hides the message; then there is nothing to read back.
            guard let annotation = fixture.expected?.objectValue, fixture.json["in_memory"] == nil else { continue }
            let read =
                name == "request"
                ? try? NormalizedRequest(annotation: annotation).annotation
                : try? NormalizedResponse(annotation: annotation).annotation
            // Members of the provider that are called like modelled ones can make an annotation unreadable.
            if read == nil { continue }
            #expect(read == annotation, "\(fixture)")
        }
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
