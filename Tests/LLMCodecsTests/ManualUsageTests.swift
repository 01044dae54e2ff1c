import ATOF
import LLMCodecs
import Testing

@Suite("Manual usage")
struct ManualUsageTests {
    @Test("finds counts under every name, in usage before token_usage")
    func counts() throws {
        let data: JSONValue = [
            "usage": ["input_tokens": 5, "prompt_tokens_details": ["cached_tokens": 2]],
            "token_usage": ["prompt_tokens": 9, "completionTokens": 3, "cacheRead": 7, "cacheWrite": 1, "total": 8],
        ]
        let usage = try #require(ManualUsage(data)?.usage)
        #expect(usage.promptTokens == 5)
        #expect(usage.completionTokens == 3)
        #expect(usage.totalTokens == 8)
        #expect(usage.cacheReadTokens == 2)
        #expect(usage.cacheWriteTokens == 1)
    }

    @Test(
        "takes only non-negative integers, and no total below its parts",
        arguments: [
            (["prompt_tokens": 1.0], nil), (["prompt_tokens": -1], nil), (["prompt_tokens": "1"], nil), ([:], nil),
            (
                ["prompt_tokens": 4, "output_tokens": 3, "total_tokens": 6],
                ["prompt_tokens": 4, "completion_tokens": 3]
            ),
            (["prompt_tokens": 18_446_744_073_709_551_615.0, "output_tokens": 3], ["completion_tokens": 3]),
        ] as [(JSONValue, JSONValue?)])
    func strictness(usage: JSONValue, expected: JSONValue?) {
        #expect(ManualUsage(["usage": usage])?.usage?.json == expected)
    }

    @Test(
        "applies each policy to the currency of a cost",
        arguments: [
            (["cost_usd": 1], 1, 1, 1), (["cost": 1], nil, nil, nil),
            (["cost": ["total": 2, "currency": "EUR"]], 2, nil, nil),
            (["cost": ["total": 2]], 2, 2, 2), (["cost": ["input": 1, "output": 2]], 3, 3, nil),
            (["cost": ["input": 1, "output": 2, "source": "model_pricing"]], 3, 3, 3),
            (["cost": ["input": 1, "currency": "usd"]], 1, 1, 1), (["cost": [:]], nil, nil, nil),
        ] as [(JSONValue, Double?, Double?, Double?)])
    func cost(usage: JSONValue, any: Double?, usd: Double?, stated: Double?) throws {
        let manual = try #require(ManualUsage(["token_usage": usage]))
        #expect(manual.cost(.anyCurrency)?.amount == any)
        #expect(manual.cost(.usd)?.amount == usd)
        #expect(manual.cost(.statedUSD)?.amount == stated)
    }
}
