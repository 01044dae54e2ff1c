import ATOF
import LLMCodecs
import Testing

@Suite("Usage and cost for exporters")
struct ExportedUsageTests {
    private struct Call {
        let name: String
        let output: JSONValue?
        let requestedModel: String?
        let pricing: PricingSources
        let response: NormalizedResponse?

        init(_ input: JSONValue) throws {
            name = try #require(input["event_name"]?.stringValue)
            output = input["output"]
            requestedModel = input["start_model_name"]?.stringValue
            pricing = PricingSources(try (input["pricing_sources"]?.arrayValue ?? []).map { try PricingCatalog($0) })
            response = LLMNormalizer.response(profile: nil, data: output, pricing: pricing)
        }

        func cost(_ policy: ManualUsage.CostPolicy) -> Cost? {
            pricing.cost(of: response, output: output, provider: name, requestedModel: requestedModel, policy)
        }
    }

    @Test("tells counts as recorded", arguments: try Fixtures.named("usage"))
    func counts(_ fixture: Fixtures.Fixture) throws {
        let call = try Call(fixture.input)
        var usage = Usage(of: call.response, completedBy: ManualUsage(call.output))
        if Usage.isCacheSeparate(call.response, provider: call.name) { usage.includeCaches() }
        let expected = fixture.expected?["openinference"]
        #expect(usage.promptTokens == expected?["prompt"]?.uint64Value)
        #expect(usage.completionTokens == expected?["completion"]?.uint64Value)
        #expect(usage.totalTokens == expected?["total"]?.uint64Value)
        #expect(usage.cacheReadTokens == expected?["cache_read"]?.uint64Value)
        #expect(usage.cacheWriteTokens == expected?["cache_write"]?.uint64Value)
    }

    @Test("tells costs as recorded", arguments: try Fixtures.named("usage"))
    func costs(_ fixture: Fixtures.Fixture) throws {
        let call = try Call(fixture.input)
        let any = call.cost(.anyCurrency)
        #expect(any?.amount == fixture.expected?["full"]?["cost_total"]?.numberValue)
        #expect(any.map(\.currency) == fixture.expected?["full"]?["cost_currency"]?.stringValue)
        #expect(call.cost(.usd)?.amount == fixture.expected?["openinference"]?["cost_total_usd"]?.numberValue)
        let manual = ManualUsage(call.output)
        let step = call.pricing.stepCost(
            of: call.response, manual: manual, usage: Usage(of: call.response, completedBy: manual),
            output: call.output, provider: call.name
        ) { call.requestedModel }
        #expect(step == fixture.expected?["atif_metrics"]?["cost_usd"]?.numberValue)
    }

    private static let pricing: JSONValue = [
        [
            "version": 1,
            "entries": [
                [
                    "provider": "p", "model_id": "m", "pricing_as_of": "x", "pricing_source": "x",
                    "prompt_cache": ["read_accounting": "included_in_prompt_tokens"],
                    "rates": ["input_per_million": 1_000_000, "output_per_million": 1],
                ]
            ],
        ]
    ]

    private static func call(_ output: JSONValue, requested: JSONValue = .null) throws -> Call {
        try Call(
            ["event_name": "p", "output": output, "pricing_sources": pricing, "start_model_name": requested])
    }

    @Test("an estimate without a total ends the search for spans")
    func hitWithoutTotal() throws {
        let call = try ExportedUsageTests.call([
            "choices": [], "model": "m", "token_usage": ["cost_usd": 7],
            "usage": ["prompt_tokens": 2, "prompt_tokens_details": ["cached_tokens": 1]],
        ])
        #expect(call.cost(.anyCurrency) != nil)
        #expect(call.cost(.anyCurrency)?.amount == nil)
    }

    @Test("what stands under cost rules out an estimate for steps, whatever it is")
    func costMember() throws {
        let output: JSONValue = ["model": "m", "usage": ["input": 2, "cost": "free"]]
        let call = try ExportedUsageTests.call(output)
        let manual = ManualUsage(output)
        let usage = Usage(of: nil, completedBy: manual)
        #expect(call.cost(.anyCurrency)?.amount == 2)
        #expect(
            call.pricing.stepCost(of: nil, manual: manual, usage: usage, output: output, provider: "p") { nil } == nil)
    }

    @Test(
        "where there is a token_usage, be it null, its cost counts and not that of usage",
        arguments: [
            (["usage": ["cost": 1]], true), (["usage": ["cost": 1], "token_usage": ["total": 1]], false),
            (["usage": ["cost": 1], "token_usage": .null], false),
            (["usage": ["input": 1], "token_usage": ["cost": "x"]], true),
        ] as [(JSONValue, Bool)])
    func costOfTokenUsage(output: JSONValue, hasCost: Bool) {
        #expect(ManualUsage(output)?.hasCostMember == hasCost)
    }

    @Test("a call is priced by the model that was asked for when nobody has a price for the one that answered")
    func requestedModel() throws {
        let call = try ExportedUsageTests.call(["model": "other", "usage": ["input": 3]], requested: "m")
        #expect(call.cost(.usd)?.amount == 3)
    }

    @Test("input with caches that does not fit is unknown")
    func overflow() {
        var usage = Usage()
        usage.promptTokens = .max
        usage.cacheReadTokens = 1
        usage.completionTokens = 1
        usage.totalTokens = 5
        usage.includeCaches()
        #expect(usage.promptTokens == nil)
        #expect(usage.totalTokens == 5)
    }
}
