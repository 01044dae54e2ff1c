internal import ATOF

/// OpenAI Responses (`codecs-and-pricing.md` 2.4).
package enum OpenAIResponses {
    static let name = Surface.openAIResponses.rawValue

    static let commonMembers = [
        WireMembers(.string, ["model", "previous_response_id", "user", "service_tier"]),
        WireMembers(.bool, ["store", "stream"]), WireMembers(.unsigned, ["max_tool_calls", "top_logprobs"]),
        WireMembers(.object, ["reasoning", "metadata"]), WireMembers(.array, ["include"]),
        WireMembers(.any, ["truncation"]),
    ]

    static let specificMembers = [
        WireMembers(.bool, ["background"]), WireMembers(.array, ["context_management"]),
        WireMembers(.string, ["prompt_cache_key", "prompt_cache_retention", "safety_identifier"]),
        WireMembers(.object, ["moderation", "prompt", "prompt_cache_options", "stream_options", "text"]),
        WireMembers(.any, ["conversation"]),
    ]

    static let imageKeys = ["image_url", "file_id", "detail"]
    static let fileKeys = ["file_data", "file_id", "file_url", "filename"]

    /// Members of a request that go over to the common form under their own names.
    static let modelledNames = Set(commonMembers.flatMap(\.keys))
        .union(["instructions", "tools", "tool_choice", "max_output_tokens", "parallel_tool_calls"])

    static func native(kind: String, _ value: JSONValue) -> NativeValue {
        NativeValue(provider: name, kind: kind, value: value)
    }
}
