package import ATOF

/// A provider's value that the common model has no place for, kept without loss (`codecs-and-pricing.md`, vocabulary
/// "native").
package struct NativeValue: Sendable, Hashable {
    /// The surface, in the short form `gemini` for Gemini.
    package let provider: String
    package let kind: String
    package let value: JSONValue

    init(provider: String, kind: String, value: JSONValue) {
        self.provider = provider
        self.kind = kind
        self.value = value
    }

    init?(_ members: JSONObject) {
        guard let provider = members["provider"]?.stringValue, let kind = members["kind"]?.stringValue,
            let value = members["value"]
        else { return nil }
        self.init(provider: provider, kind: kind, value: value)
    }

    var members: JSONObject {
        JSONObject([("kind", .string(kind)), ("provider", .string(provider)), ("value", value)])
    }
}
