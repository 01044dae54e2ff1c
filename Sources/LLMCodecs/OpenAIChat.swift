internal import ATOF

/// OpenAI Chat Completions, and what speaks like it (`codecs-and-pricing.md` 2.3).
package enum OpenAIChat {
    static let name = Surface.openAIChat.rawValue

    static func native(kind: String, _ value: JSONValue) -> NativeValue {
        NativeValue(provider: name, kind: kind, value: value)
    }
}
