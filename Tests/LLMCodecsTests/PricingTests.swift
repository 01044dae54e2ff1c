import ATOF
import LLMCodecs
import Testing

@Suite("Pricing")
struct PricingTests {
    private static func sources(_ value: JSONValue?) throws -> PricingSources {
        PricingSources(try (value?.arrayValue ?? []).map { try PricingCatalog($0) })
    }

    @Test("estimates as recorded", arguments: try Fixtures.named("pricing"))
    func estimates(_ fixture: Fixtures.Fixture) throws {
        let sources = try PricingTests.sources(fixture.input["sources"])
        let expected = try #require(fixture.expected)
        guard let surface = fixture.surface else {
            let usage = try Usage(annotation: fixture.input["usage"]?.objectValue ?? JSONObject())
            let cost =
                usage.cost
                ?? sources.estimate(
                    usage: usage, model: fixture.input["model"]?.stringValue ?? "",
                    provider: fixture.input["provider"]?.stringValue)
            #expect((cost?.json ?? .null).comparable == expected["cost"]?.comparable)
            return
        }
        var response = try surface.decodeResponse(fixture.input["response"] ?? .null)
        response.estimateCost(by: sources, surface: surface)
        response.estimateCost(by: sources, call: fixture.input["call_name"]?.stringValue ?? "")
        #expect(response.usage?.json.comparable == expected["usage"]?.comparable)
        #expect(response.annotation["usage"]?.comparable == expected["usage"]?.comparable)
    }

    @Test("accepts and refuses catalogues as recorded", arguments: try Fixtures.named("catalog"))
    func catalogs(_ fixture: Fixtures.Fixture) {
        let accepted = (try? PricingCatalog(fixture.input)) != nil
        #expect(.bool(accepted) == fixture.expected?["accepted"])
    }

    private static func entry(_ changes: JSONValue) -> JSONValue {
        var entry = JSONObject([
            ("provider", "p"), ("model_id", "m"), ("pricing_as_of", "2026-01-02"), ("pricing_source", "s"),
            ("prompt_cache", ["read_accounting": "separate"]),
            ("rates", ["input_per_million": 1, "output_per_million": 2]),
        ])
        for member in changes.objectValue ?? JSONObject() { entry[member.key] = member.value.nonNull }
        return .object(entry)
    }

    private static func rates(_ input: JSONValue) -> JSONValue {
        ["input_per_million": input, "output_per_million": 1]
    }

    @Test(
        "names the member that is wrong",
        arguments: [
            ([:], "version"), (["version": 1], "entries"), (["version": 1.0, "entries": []], "version"),
            (["version": "1", "entries": []], "version"), (["version": 1, "entries": [:]], "entries"),
            (["version": 1, "entries": [5]], "entries[0]"), (["version": 1, "entries": [], "extra": 1], "extra"),
            ([], ""),
        ] as [(JSONValue, String)])
    func wrongCatalogs(catalog: JSONValue, field: String) {
        #expect { try PricingCatalog(catalog) } throws: { ($0 as? PricingCatalogError)?.field == field }
    }

    @Test(
        "names the member of an entry that is wrong",
        arguments: [
            (["currency": " "], "currency"), (["unit": "per_word"], "unit"), (["aliases": "m"], "aliases"),
            (["aliases": [1]], "aliases"), (["rates": ["input_per_million": 1]], "rates.output_per_million"),
            (["rates": rates(-1)], "rates.input_per_million"), (["rates": rates("1")], "rates.input_per_million"),
            (["rates": ["input_per_million": 1, "output_per_million": 1, "x": 1]], "rates.x"),
            (["prompt_cache": ["read_accounting": "separate", "x": 1]], "prompt_cache.x"),
            (["unit": "per_request", "rates": rates(-1)], "rates.input_per_million"),
            (["rate_schedule": ["tiers": []]], "rate_schedule.type"),
            (["rate_schedule": ["type": "prompt_token_threshold", "tiers": []]], "rate_schedule.tiers"),
            (
                [
                    "rate_schedule": [
                        "type": "prompt_token_threshold",
                        "tiers": [["min_prompt_tokens": -1, "rates": rates(1)]],
                    ]
                ],
                "rate_schedule.tiers[0].min_prompt_tokens"
            ),
            (
                [
                    "rate_schedule": [
                        "type": "prompt_token_threshold", "applies_to": "tokens", "tiers": [["rates": rates(1)]],
                    ]
                ],
                "rate_schedule.applies_to"
            ),
        ] as [(JSONValue, String)])
    func wrongEntries(changes: JSONValue, field: String) {
        #expect {
            try PricingCatalog(["version": 1, "entries": [PricingTests.entry(changes)]])
        } throws: {
            ($0 as? PricingCatalogError)?.field == "entries[0].\(field)"
        }
    }

    @Test(
        "takes what the schema allows",
        arguments: [
            ["rates": .null, "unit": "per_request"], ["currency": "doubloon"], ["aliases": ["", " ", "x"]],
            ["rates": ["input_per_million": 0, "output_per_million": 0, "cache_read_per_million": .null]],
        ] as [JSONValue])
    func rightEntries(changes: JSONValue) throws {
        #expect(try PricingCatalog(["version": 1, "entries": [PricingTests.entry(changes)]]).entries.count == 1)
    }

    @Test(
        "refuses two names for one model in a catalogue",
        arguments: [
            [["aliases": ["M "]]], [["aliases": ["x", "X"]]], [[:], ["provider": " /P/ "]],
            [["provider": "a", "model_id": "b/m"], ["provider": "a/b"]],
        ] as [[JSONValue]])
    func repeated(entries: [JSONValue]) {
        #expect(throws: PricingCatalogError.self) {
            try PricingCatalog(["version": 1, "entries": .array(entries.map(PricingTests.entry))])
        }
    }

    @Test(
        "looks for the provider's model first, and then for the model alone",
        arguments: [
            ("M", nil, "p"), (" m ", "nobody", "p"), ("m", "/Q/", "q"), ("q/m", nil, "q"), ("r/q/m", "p", "p"),
            ("r/q/m", nil, "p"), ("x", nil, "q"), ("n", nil, nil), ("", "p", nil), ("//", nil, nil),
        ] as [(String, String?, String?)])
    func lookup(model: String, provider: String?, expected: String?) throws {
        let catalog: JSONValue = [
            "version": 1,
            "entries": [PricingTests.entry([:]), PricingTests.entry(["provider": "q", "aliases": ["x"]])],
        ]
        var usage = Usage()
        usage.promptTokens = 1
        let cost = try PricingTests.sources([catalog]).estimate(usage: usage, model: model, provider: provider)
        #expect(cost?.pricingProvider == expected)
    }

    @Test("looks for the last parts of a route alone when it is longer than any name")
    func longRoute() throws {
        let catalog: JSONValue = ["version": 1, "entries": [PricingTests.entry(["aliases": ["q/m", "a/q/m"]])]]
        var usage = Usage()
        usage.promptTokens = 1
        let sources = try PricingTests.sources([catalog])
        let route = String(repeating: "a/", count: 200_000)
        #expect(sources.estimate(usage: usage, model: route + "q/m", provider: nil) != nil)
        #expect(sources.estimate(usage: usage, model: route + "n", provider: nil) == nil)
    }

    @Test("prices nothing with rates whose amounts no number can hold")
    func extremes() throws {
        let entry = PricingTests.entry(["rates": ["input_per_million": 1e308, "output_per_million": 1e308]])
        var usage = Usage()
        usage.promptTokens = .max
        usage.completionTokens = .max
        let sources = try PricingTests.sources([["version": 1, "entries": [entry]]])
        #expect(sources.estimate(usage: usage, model: "m", provider: nil) == nil)
        usage.promptTokens = 0
        #expect(sources.estimate(usage: usage, model: "m", provider: nil) == nil)
    }
}
