internal import ATOF
internal import LLMCodecs

/// Writes an array of messages with their parts, or of parts alone (`otel-projections.md` 3.3.4). Keys are written in their order.
struct GenAIPartWriter: ~Copyable {
    private var writer = JSONWriter(capacity: 1024)
    private var isFirstMessage = true
    private var isFirstPart = true

    init() { writer.raw("[") }

    /// Closes the array.
    ///
    /// - Returns: its text.
    consuming func finish() -> String {
        writer.raw("]")
        return writer.text
    }

    // MARK: Messages

    mutating func beginMessage(finishReason: String? = nil, name: String? = nil) {
        writer.raw(isFirstMessage ? "{" : ",{")
        isFirstMessage = false
        isFirstPart = true
        if let finishReason { writeMember("\"finish_reason\":", finishReason) }
        if let name { writeMember("\"name\":", name) }
        writer.raw("\"parts\":[")
    }

    mutating func endMessage(role: String) {
        writer.raw("],\"role\":")
        writer.write(role)
        writer.raw("}")
    }

    // MARK: Parts

    mutating func write(_ content: MessageContent?) {
        switch content {
        case nil: break
        case .text(let text): writeText(text)
        case .parts(let parts):
            for part in parts { write(part) }
        }
    }

    private mutating func write(_ part: ContentPart) {
        switch part.kind {
        case .text, .refusal: writeText(part.members[part.kind.rawValue]?.stringValue ?? "")
        case .toolUse:
            writeCall(
                id: part.members["id"]?.stringValue ?? "", name: part.members["name"]?.stringValue ?? "",
                arguments: part.members["input"] ?? .null)
        case .toolResult:
            writeResponse(id: part.members["tool_use_id"]?.stringValue, part.members["content"] ?? .null)
        case .imageURL, .image, .audio, .file:
            beginPart()
            writer.write(part.members)
        case .native:
            if let native = part.native { write(native) }
        }
    }

    mutating func writeText(_ text: String) {
        beginPart()
        writer.raw("{")
        writeMember("\"content\":", text)
        endPart("text")
    }

    mutating func writeCall(id: String, name: String, arguments: JSONValue) {
        beginPart()
        writer.raw("{\"arguments\":")
        writer.write(arguments)
        writer.raw(",")
        writeMember("\"id\":", id)
        writeMember("\"name\":", name)
        endPart("tool_call")
    }

    /// - Parameter id: nil where a provider has none.
    mutating func writeResponse(id: String?, _ response: JSONValue) {
        beginPart()
        writer.raw("{")
        if let id { writeMember("\"id\":", id) }
        writer.raw("\"response\":")
        writer.write(response)
        writer.raw(",")
        endPart("tool_call_response")
    }

    /// A provider's own value, with its kind as the type.
    mutating func write(_ native: NativeValue) {
        beginPart()
        if case .object(var object) = native.value {
            object["type"] = .string(native.kind)
            writer.write(object)
        } else {
            writer.raw("{\"content\":")
            writer.write(native.value)
            writer.raw(",")
            endPart(native.kind)
        }
    }

    private mutating func beginPart() {
        if !isFirstPart { writer.raw(",") }
        isFirstPart = false
    }

    private mutating func endPart(_ type: String) {
        writer.raw("\"type\":")
        writer.write(type)
        writer.raw("}")
    }

    /// - Parameter key: the key as JSON, with its colon.
    private mutating func writeMember(_ key: StaticString, _ text: String) {
        writer.raw(key)
        writer.write(text)
        writer.raw(",")
    }
}
