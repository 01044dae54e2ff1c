internal import ATOF

/// Anthropic Messages (`codecs-and-pricing.md` 2.5).
package enum Anthropic {
    static let name = Surface.anthropicMessages.rawValue

    static let commonMembers = [
        WireMembers(.string, ["model", "service_tier"]), WireMembers(.bool, ["stream"]),
        WireMembers(.object, ["metadata"]),
    ]

    static let specificMembers = [
        WireMembers(.object, ["cache_control", "output_config", "thinking"]),
        WireMembers(.string, ["container", "inference_geo", userProfileKey]), WireMembers(.unsigned, ["top_k"]),
    ]

    /// The only member that the common form calls otherwise, `user_profile_id`.
    static let userProfileKey = "anthropic-user-profile-id"

    /// Members of a request that go over to the common form under their own names.
    static let modelledNames = Set(commonMembers.flatMap(\.keys)).union(["messages", "tools", "tool_choice"])

    static func native(kind: String, _ value: JSONValue) -> NativeValue {
        NativeValue(provider: name, kind: kind, value: value)
    }
}
