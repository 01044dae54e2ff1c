internal import ATOF

/// Words that say what a document is, not what is in it. A policy for every text would make documents useless without them.
///
/// Anybody may write anything under their keys. So a word stays only if it looks like one and no detector finds anything in it; what is
/// left, one short word such as a name, cannot be told from what belongs there (`docs/components/detectors.md`).
struct StructuralWords: Sendable {
    /// What may stand under a key.
    private enum Form: Sendable {
        /// One of these.
        case oneOf(Set<String>)
        /// A word of a vocabulary that grows: letters above all.
        case word
        /// A model's name, which has dates and versions.
        case model
    }

    private static let forms: [String: Form] = [
        "role": .oneOf([
            "system", "developer", "user", "assistant", "tool", "function", "model", "tool_call", "tool_result",
            "provider_native", "human", "ai", "SYSTEM", "DEVELOPER", "USER", "ASSISTANT", "TOOL", "CHATBOT",
        ]),
        "otel.status_code": .oneOf(["OK", "ERROR", "UNSET"]),
        "nemo_relay.log.severity": .oneOf(["trace", "debug", "info", "warn", "warning", "error"]),
        "type": .word, "object": .word, "kind": .word, "api": .word, "api_format": .word, "apiFormat": .word,
        "status": .word, "finish_reason": .word, "finishReason": .word, "stop_reason": .word, "error.type": .word,
        "model": .model, "modelId": .model, "modelVersion": .model, "model_name": .model,
    ]

    private let detectors: [DetectorMatcher]

    /// - Throws: never, unless a detector's own expression is wrong.
    init() throws(RedactionError) {
        var detectors: [DetectorMatcher] = []
        // Dates in the names of models look like telephone numbers.
        for detector in Detector.allCases where detector != .phone {
            do throws(PatternError) {
                detectors.append(try DetectorMatcher(detector, .skein))
            } catch {
                throw RedactionError(field: "detector", reason: "\(detector.rawValue): \(error)")
            }
        }
        self.detectors = detectors
    }

    /// Puts the words of the original back into what was made of it.
    func restored(in redacted: JSONValue, from original: JSONValue) -> JSONValue {
        switch (original, redacted) {
        case (.object(let before), .object(var after)):
            for member in before {
                guard let value = after[member.key] else { continue }
                if let form = StructuralWords.forms[member.key], let text = member.value.stringValue {
                    if stays(text, form) { after[member.key] = member.value }
                } else {
                    after[member.key] = restored(in: value, from: member.value)
                }
            }
            return .object(after)
        case (.array(let before), .array(let after)) where before.count == after.count:
            return .array(zip(before, after).map { restored(in: $1, from: $0) })
        default: return redacted
        }
    }

    /// Whether a text that stands beside documents, such as an attribute or a schema's name, is a word.
    func isWord(_ text: String) -> Bool { stays(text, .word) }

    /// Whether a text is a model's name.
    func isModel(_ text: String) -> Bool { stays(text, .model) }

    private func stays(_ text: String, _ form: Form) -> Bool {
        switch form {
        case .oneOf(let words): words.contains(text)
        case .word: StructuralWords.isWord(text, longest: 64, mostDigits: 8) && hasNoSecret(text)
        case .model: StructuralWords.isWord(text, longest: 100, mostDigits: 20) && hasNoSecret(text)
        }
    }

    /// Whether no detector finds anything in a text.
    func hasNoSecret(_ text: String) -> Bool {
        TextBytes.withBytes(of: text) { bytes in detectors.allSatisfy { $0.matches(in: bytes).isEmpty } }
    }

    /// Begins with a letter, has no spaces and nothing that addresses somebody, no long number, and no long piece as tokens have it.
    private static func isWord(_ text: String, longest: Int, mostDigits: Int) -> Bool {
        guard let first = text.utf8.first, isLetter(first), text.utf8.count <= longest else { return false }
        var (digits, run, piece, pieceDigits) = (0, 0, 0, 0)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39:
                digits += 1
                run += 1
                piece += 1
                pieceDigits += 1
            case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"):
                (run, piece, pieceDigits) = (0, 0, 0)
            default:
                guard isLetter(byte) else { return false }
                run = 0
                piece += 1
            }
            if digits > mostDigits || run > 8 || piece > 32 || pieceDigits > 0 && piece >= 20 { return false }
        }
        return true
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
}
