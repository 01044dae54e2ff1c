internal import ATOF

/// OpenAI Chat Completions, and what speaks like it (`codecs-and-pricing.md` 2.3).
package enum OpenAIChat {
    static let name = Surface.openAIChat.rawValue

    static let commonMembers = [
        WireMembers(.string, ["model", "user", "service_tier"]),
        WireMembers(.bool, ["store", "parallel_tool_calls", "stream"]),
        WireMembers(.unsigned, ["top_logprobs"]), WireMembers(.object, ["metadata"]),
    ]

    static let specificMembers = [
        WireMembers(
            .object,
            [
                "audio", "logit_bias", "moderation", "prediction", "prompt_cache_options", "response_format",
                "stream_options", "web_search_options",
            ]),
        WireMembers(
            .string,
            ["prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "safety_identifier", "verbosity"]),
        WireMembers(.number, ["frequency_penalty", "presence_penalty"]), WireMembers(.array, ["functions"]),
        WireMembers(.strings, ["modalities"]), WireMembers(.bool, ["logprobs"]), WireMembers(.unsigned, ["n"]),
        WireMembers(.integer, ["seed"]), WireMembers(.any, ["function_call"]),
    ]

    /// Members of a request that go over to the common form under their own names.
    static let modelledNames = Set(commonMembers.flatMap(\.keys)).union(["messages", "tools", "tool_choice"])

    static func native(kind: String, _ value: JSONValue) -> NativeValue {
        NativeValue(provider: name, kind: kind, value: value)
    }
}
