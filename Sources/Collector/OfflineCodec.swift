package import ATOF
internal import LLMCodecs

/// The codecs without a bus: one JSON object in, one out, as the conformance fixtures define them.
package enum OfflineCodec {
    /// Answers a line `{"id", "kind", "input", …}` with `{"id", "output"}` or `{"id", "error": {"kind", "reason"}}`.
    ///
    /// - Parameter compatibility: whose rules decide.
    /// - Throws: `CollectorError` for a line that is no request of a known kind.
    package static func answer(line: [UInt8], _ compatibility: Compatibility = .skein) throws -> [UInt8] {
        guard let request = json(line)?.objectValue else { throw CollectorError("is no JSON object") }
        guard let kind = request["kind"]?.stringValue else { throw CollectorError("kind is missing") }
        var answer = JSONObject()
        answer["id"] = request["id"]
        do {
            guard
                let output = try wireAnswer(kind: kind, request, compatibility)
                    ?? derivedAnswer(kind: kind, request, compatibility)
            else {
                throw CollectorError("kind is \"\(kind)\", which is not known")
            }
            answer["output"] = output
        } catch let error as CodecError {
            answer["error"] = ["kind": .string(error.kind.rawValue), "reason": .string(error.message)]
        } catch let error as CollectorError where request["id"] != nil {
            answer["error"] = [
                "kind": .string(CodecError.Kind.invalidArgument.rawValue), "reason": .string("\(error)"),
            ]
        }
        return singleLine(answer)
    }

    /// A value as one line, also for readers to whom Unicode's own line ends end one.
    static func singleLine(_ value: JSONObject) -> [UInt8] {
        let text = value.compactText
        guard text.unicodeScalars.contains(where: { $0 == "\u{85}" || $0 == "\u{2028}" || $0 == "\u{2029}" }) else {
            return Array(text.utf8)
        }
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\u{85}": bytes += "\\u0085".utf8
            case "\u{2028}": bytes += "\\u2028".utf8
            case "\u{2029}": bytes += "\\u2029".utf8
            default: bytes += String(scalar).utf8
            }
        }
        return bytes
    }

    /// A body that is no JSON at all.
    package struct NotJSON: Error, CustomStringConvertible {
        package var description: String { "is not JSON; give one JSON body" }
    }

    /// The value of a text with the numbers and bytes mended that nobody could hold; nil when it is not JSON.
    static func json(_ text: [UInt8]) -> JSONValue? {
        let text = text.withoutByteOrderMark
        do throws(JSONRefusal) {
            return try JSONParser.parse(text)
        } catch {
            switch error {
            case .number, .utf8:
                let value = text.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
                return value.stringValue == nil ? value : nil
            case .syntax, .string, .depth, .memory: return nil
            }
        }
    }
}
