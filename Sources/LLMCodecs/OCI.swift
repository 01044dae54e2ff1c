internal import ATOF

/// OCI Generative AI in its formats GENERIC, COHERE and COHEREV2 (`codecs-and-pricing.md` 2.6).
package enum OCI {
    static let name = Surface.ociGenAI.rawValue
    static let generic = "GENERIC"
    static let cohere = "COHERE"
    static let cohereV2 = "COHEREV2"

    static func native(kind: String?, _ value: JSONValue) -> NativeValue {
        NativeValue(provider: name, kind: kind ?? "unknown", value: value)
    }

    /// The format of a chat request or response; what is unknown is treated as GENERIC.
    static func format(of chat: JSONObject) -> String { chat["apiFormat"]?.stringValue?.uppercased() ?? generic }

    /// The name of the member with stop sequences.
    static func stopKey(format: String) -> String { format.hasPrefix(cohere) ? "stopSequences" : "stop" }

    /// Content of a message: text parts alone become one text, without a separator. Nil when there is none.
    static func content(_ value: JSONValue?) throws(CodecError) -> MessageContent? {
        switch value {
        case nil, .null: return nil
        case .string(let text): return .text(text)
        case .array(let elements):
            if elements.isEmpty { return nil }
            for element in elements where element.objectValue == nil {
                throw CodecError(.invalidArgument, "a content part must be an object")
            }
            if let text = joinedText(elements) { return .text(text) }
            return .parts(elements.map(part))
        default: throw CodecError(.invalidArgument, "content must be a string, an array or null")
        }
    }

    private static func joinedText(_ elements: [JSONValue]) -> String? {
        var joined = ""
        for element in elements {
            guard element["type"] == "TEXT" else { return nil }
            switch element["text"] {
            case nil, .null: break
            case .string(let text): joined += text
            default: return nil
            }
        }
        return joined
    }

    private static func part(_ value: JSONValue) -> ContentPart {
        let type = value["type"]?.stringValue
        guard type == "TEXT", var extra = value.objectValue,
            case .string(let text) = extra["text"] ?? ""
        else { return ContentPart(native: native(kind: type, value)) }
        extra["text"] = nil
        extra["type"] = nil
        return ContentPart(.text, .string(text), extra: extra)
    }
}
