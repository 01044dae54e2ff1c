package import ATOF

/// Chunks of generateContent to one response with one candidate. Unlike the others it refuses what it cannot put
/// together.
package struct GeminiStream: StreamAggregator {
    private var parts: [JSONObject] = []
    /// The text that the next one is added to; it is behind the parts.
    private var openText: String?
    private var candidate = JSONObject()
    private var head = JSONObject()

    package init() {}

    package mutating func receive(_ event: JSONValue) throws(CodecError) {
        for key in ["modelVersion", "responseId"] {
            guard let value = event[key] else { continue }
            guard value.stringValue != nil else { throw CodecError(.invalidArgument, "\(key) must be a string") }
            head[key] = value
        }
        if let usage = event["usageMetadata"]?.nonNull { head["usageMetadata"] = usage }
        guard let candidates = event["candidates"]?.arrayValue, let first = candidates.first else { return }
        guard candidates.count == 1 else { throw CodecError(.invalidArgument, "a chunk has several candidates") }
        guard first["index"]?.uint64Value == 0 else {
            throw CodecError(.invalidArgument, "index of a candidate must be 0")
        }
        for member in first.objectValue ?? JSONObject() where member.key != "content" {
            if member.key == "finishReason", member.value.stringValue == nil {
                throw CodecError(.invalidArgument, "finishReason must be a string")
            }
            candidate[member.key] = member.value
        }
        for part in first["content"]?["parts"]?.arrayValue ?? [] { try append(part) }
    }

    private mutating func append(_ value: JSONValue) throws(CodecError) {
        let part = try Gemini.Part(value)
        guard !part.isResponse else {
            throw CodecError(.invalidArgument, "functionResponse cannot be in a response")
        }
        if let text = part.bareText {
            openText = openText ?? ""
            openText?.append(text)
        } else {
            closeText()
            parts.append(part.members)
        }
    }

    private mutating func closeText() {
        if let openText { parts.append(JSONObject([("text", .string(openText))])) }
        openText = nil
    }

    package var body: JSONValue {
        var body = head
        var candidate = candidate
        var whole = self
        whole.closeText()
        candidate["index"] = 0
        candidate["content"] = ["parts": .array(whole.parts.map { .object($0) }), "role": "model"]
        body["candidates"] = [.object(candidate)]
        return .object(body)
    }
}
