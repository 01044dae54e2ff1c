internal import ATOF
internal import LLMCodecs

extension OfflineCodec {
    /// What follows from bodies: `stream`, `usage`, `pricing`, `catalog`, `history`, `skill-load`. Nil for another kind.
    static func derivedAnswer(kind: String, _ request: JSONObject) throws -> JSONValue? {
        nil
    }
}
