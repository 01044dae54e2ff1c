import ATOF
import Middleware
import Testing

@Suite("Metadata injection")
struct MetadataInjectionTests {
    @Test(
        "accepts flat keys of segments",
        arguments: [
            ("team.cost-center", true), ("a", true), ("A_1-b.c", true), ("a..b", false), (".a", false), ("a.", false),
            ("a b", false), ("", false), ("ä", false), ("a/b", false),
        ] as [(String, Bool)])
    func keys(key: String, isKey: Bool) { #expect(InjectedMetadata.isKey(key) == isKey) }

    @Test(
        "accepts primitives and lists of one kind",
        arguments: [
            (true, true), ("x", true), (1, true), (1.5, true), ([], true), ([1, 2.5], true), (["a", "b"], true),
            ([1, "a"], false), ([[1]], false), ([true, 1], false), (.null, false), ([:], false), ([.null], false),
            (.unsigned(.max), false),
        ] as [(JSONValue, Bool)])
    func values(value: JSONValue, isValue: Bool) { #expect(InjectedMetadata.isValue(value) == isValue) }

    private static func injection() -> MetadataInjection {
        var injection = MetadataInjection()
        injection.values = ["team": "core", "level": 3]
        injection.facts = ["skein.tenant": .tenant, "skein.collector": .collector, "skein.version": .version]
        return injection
    }

    private static let facts: JSONValue = ["skein.collector": "host", "skein.tenant": "acme", "skein.version": "1.2.3"]

    @Test(
        "inserts, and never replaces",
        arguments: [
            (nil, ["level": 3, "team": "core"]), ([:], ["level": 3, "team": "core"]),
            (["team": "theirs", "x": [1]], ["level": 3, "team": "theirs", "x": [1]]),
            (["team": .null], ["level": 3, "team": .null]),
        ] as [(JSONValue?, JSONValue)])
    func inserts(metadata: JSONValue?, expected: JSONValue) throws {
        var members = JSONObject()
        members["metadata"] = metadata
        let after = try RedactionLines.apply(
            try RedactionLines.chain(metadata: Self.injection()), to: try RedactionLines.event(.object(members)))
        let all = JSONObject(
            ((expected.objectValue ?? .init()).members + (Self.facts.objectValue ?? .init()).members)
                .map { ($0.key, $0.value) })
        #expect(after.metadata?.value == .object(all))
    }

    @Test("leaves metadata alone that are no object", arguments: ["text", 1, [1]] as [JSONValue])
    func noObject(metadata: JSONValue) throws {
        var chain = try RedactionLines.chain(metadata: Self.injection())
        var notes = ChainNotes()
        #expect(
            chain.apply(try RedactionLines.event(["metadata": metadata]), tenant: "t", &notes) == .unchanged)
        #expect(notes.failures.isEmpty)
    }

    @Test("comes before the sanitizers, which see what was injected")
    func order() throws {
        var injection = MetadataInjection()
        injection.values = ["owner": "bob@example.com"]
        let chain = try RedactionLines.chain([RedactionLines.email()], metadata: injection)
        let after = try RedactionLines.apply(chain, to: try RedactionLines.event([:]))
        #expect(after.metadata?.value == ["owner": "[REDACTED]"])
    }
}
