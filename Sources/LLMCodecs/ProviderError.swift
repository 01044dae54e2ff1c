package import ATOF

/// What a provider or a gateway sends in the place of an answer.
package struct ProviderError: Sendable, Hashable {
    /// Its word for the kind of failure, such as `rate_limit_error`.
    package let type: String?
    package let description: String?

    /// - Parameter body: an answer, whole or put together of its stream; Gemini has its errors in a list.
    /// - Returns: nil for a body that is no error. An object that the model may have made is none: it says what it is, or the error is a
    ///   text that is all there is. Nor is an empty one, which some servers have beside every answer.
    package init?(in body: JSONValue) {
        guard let error = ProviderError.value(in: body) else { return nil }
        type = ProviderError.type(of: error)
        description = ProviderError.description(of: error)
    }

    /// The error as it stands in the body.
    static func value(in body: JSONValue) -> JSONValue? {
        // Gateways say of a choice what became of it.
        let choice = body["choices"]?[0]
        guard let object = ((choice?["error"]?.nonNull == nil ? body[0] : choice) ?? body).objectValue else {
            return nil
        }
        // Some servers say so of the whole body.
        guard let error = object["error"] ?? (object["object"] == "error" ? .object(object) : nil) else { return nil }
        if error.stringValue != nil, object.count > 1 { return nil }
        return type(of: error) == nil && description(of: error) == nil ? nil : error
    }

    private static func type(of error: JSONValue) -> String? {
        let words = ["type", "status", "code"].lazy.compactMap { error[$0] }
        // Azure has the status in numbers beside the word.
        let word = words.compactMap(\.stringValue).first { !$0.isEmpty }
        return word ?? words.compactMap(\.int64Value).first { $0 != 0 && $0 != 200 }.map { "\($0)" }
    }

    private static func description(of error: JSONValue) -> String? {
        let message = error["message"]?.nonNull
        let text = error.stringValue ?? message?.stringValue ?? message?.compactText ?? ""
        return text.isEmpty ? nil : text
    }
}
