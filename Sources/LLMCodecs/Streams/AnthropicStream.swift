package import ATOF

/// Events of the Messages API to one message.
package struct AnthropicStream: StreamAggregator {
    private var head = JSONObject()
    private var usage: JSONValue?
    /// By their index: gaps do not count, so that a large one costs nothing.
    private var blocks: [UInt64: Block] = [:]

    fileprivate struct Block {
        var start: JSONObject
        var text: String?
        var input: String?
        var citations: [JSONValue] = []
    }

    private let compatibility: Compatibility

    package init(_ compatibility: Compatibility = .skein) { self.compatibility = compatibility }

    package mutating func receive(_ event: JSONValue) {
        switch event["type"]?.stringValue {
        case "message_start":
            guard let message = event["message"] else { return }
            for key in ["id", "model", "role", "type"] {
                if let text = message[key]?.stringValue { head[key] = .string(text) }
            }
            overlay(message["usage"])
        case "content_block_start":
            guard let index = event["index"]?.uint64Value, let block = event["content_block"]?.objectValue else {
                return
            }
            blocks[index] = Block(start: block)
        case "content_block_delta":
            guard let index = event["index"]?.uint64Value, let delta = event["delta"] else { return }
            blocks[index]?.receive(delta)
        case "message_delta":
            if let reason = event["delta"]?["stop_reason"]?.stringValue { head["stop_reason"] = .string(reason) }
            if let sequence = event["delta"]?["stop_sequence"] { head["stop_sequence"] = sequence }
            overlay(event["usage"])
        default: break
        }
    }

    /// Later counts replace earlier ones of the same name, null included; others stay. What holds no counts replaces all in the
    /// reference, and nothing here.
    private mutating func overlay(_ value: JSONValue?) {
        guard let value else { return }
        guard let counts = value.objectValue else {
            if compatibility == .strict { usage = value }
            return
        }
        var merged = usage?.objectValue ?? JSONObject()
        // Its only owner from here on: shared, every event would copy all counts.
        usage = nil
        for member in counts { merged[member.key] = member.value }
        usage = .object(merged)
    }

    fileprivate static func append(_ value: JSONValue?, to text: inout String?) {
        guard let piece = value?.stringValue else { return }
        if text == nil { text = "" }
        text?.append(piece)
    }

    package var body: JSONValue {
        var body = head
        body["usage"] = usage
        body["content"] = .array(blocks.sorted { $0.key < $1.key }.map(\.value.json))
        return .object(body)
    }
}

extension AnthropicStream.Block {
    /// Thinking and signatures are dropped, so that a streamed thinking block keeps its empty start.
    mutating func receive(_ delta: JSONValue) {
        switch delta["type"]?.stringValue {
        case "text_delta": AnthropicStream.append(delta["text"], to: &text)
        case "input_json_delta": AnthropicStream.append(delta["partial_json"], to: &input)
        case "citations_delta": if let citation = delta["citation"] { citations.append(citation) }
        default: break
        }
    }

    var json: JSONValue {
        var block = start
        if let text { block["text"] = .string(text) }
        if let input { block["input"] = ToolCall.parsedArguments(input) }
        if !citations.isEmpty { block["citations"] = .array(citations) }
        return .object(block)
    }
}
