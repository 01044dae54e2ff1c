internal import ATOF

/// Words that say what a document is, not what is in it. A policy for every text would make documents useless with them.
enum StructuralWords {
    private static let keys: Set<String> = [
        "role", "type", "object", "kind", "api", "api_format", "apiFormat", "status", "finish_reason", "finishReason",
        "stop_reason", "model", "modelId", "modelVersion", "model_name", "otel.status_code", "error.type",
        "nemo_relay.log.severity",
    ]

    /// Puts the words of the original back into what was made of it.
    static func restored(in redacted: JSONValue, from original: JSONValue) -> JSONValue {
        switch (original, redacted) {
        case (.object(let before), .object(var after)):
            for member in before {
                guard let value = after[member.key] else { continue }
                if keys.contains(member.key), let text = member.value.stringValue {
                    if isWord(text) { after[member.key] = member.value }
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

    /// Short, without spaces, and nothing that addresses somebody.
    private static func isWord(_ text: String) -> Bool {
        text.utf8.count <= 100
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
                    UInt8(ascii: ":"), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }
}
