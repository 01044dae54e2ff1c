internal import ATOF
internal import LLMCodecs

extension OfflineCodec {
    /// Provider bodies to the common form and back: `request`, `response`, `encode`, `detect-*`. Nil for another kind.
    static func wireAnswer(kind: String, _ request: JSONObject) throws -> JSONValue? {
        nil
    }
}
