internal import ATOF
internal import LLMCodecs

/// The codecs without a bus: one JSON object in, one out, as the conformance fixtures define them.
package enum OfflineCodec {
    /// Answers a line `{"id", "kind", "input", …}` with `{"id", "output"}` or `{"id", "error": {"kind", "reason"}}`.
    ///
    /// - Throws: `CollectorError` for a line that is no request of a known kind.
    package static func answer(line: [UInt8]) throws -> [UInt8] {
        guard let request = try? JSONParser.parse(line).objectValue else {
            throw CollectorError("is no JSON object")
        }
        guard let kind = request["kind"]?.stringValue else { throw CollectorError("kind is missing") }
        var answer = JSONObject()
        answer["id"] = request["id"]
        do {
            guard let output = try wireAnswer(kind: kind, request) ?? derivedAnswer(kind: kind, request) else {
                throw CollectorError("kind is \"\(kind)\", which is not known")
            }
            answer["output"] = output
        } catch let error as CodecError {
            answer["error"] = ["kind": .string(error.kind.rawValue), "reason": .string(error.message)]
        }
        return Array(JSONValue.object(answer).compactText.utf8)
    }
}
