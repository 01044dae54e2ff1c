package import ATOF

/// What a provider or a gateway sends in the place of an answer.
package struct ProviderError: Sendable, Hashable {
    /// Its word for the kind of failure, such as `rate_limit_error`.
    package let type: String?
    package let description: String?

    /// - Parameter body: an answer, whole or put together of its stream; Gemini has its errors in a list.
    /// - Returns: nil for a body that is no error. An object that the model may have made is none: it says what it is, or the error is a
    ///   text that is all there is.
    package init?(in body: JSONValue) {
        guard let error = ProviderError.value(in: body) else { return nil }
        let words = ["type", "status", "code"].lazy.compactMap { error[$0] }
        // Azure has the status in numbers beside the word.
        let word = words.compactMap(\.stringValue).first { !$0.isEmpty }
        type = word ?? words.compactMap(\.int64Value).first { $0 != 0 && $0 != 200 }.map { "\($0)" }
        let text = error["message"]?.stringValue ?? error.stringValue
        description = text?.isEmpty == false ? text : nil
        // Some servers have an empty one beside every answer.
        if type == nil, description == nil { return nil }
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
        if let text = error.stringValue { return !text.isEmpty && object.count == 1 ? error : nil }
        return ["message", "type", "code", "status"].contains { error[$0]?.nonNull != nil } ? error : nil
    }
}
