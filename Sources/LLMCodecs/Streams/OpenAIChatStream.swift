package import ATOF

/// Chunks of Chat Completions to one completion.
package struct OpenAIChatStream: StreamAggregator {
    private var head = JSONObject()
    private var usage: JSONValue?
    private var choices: [UInt64: Choice] = [:]
    /// The reference takes anything for a count, a choice or a call.
    private let isStrict: Bool

    fileprivate struct Choice {
        var role: String?
        var content: String?
        var finishReason: String?
        var calls: [UInt64: Call] = [:]
    }

    fileprivate struct Call {
        var id: String?
        var type: String?
        var name: String?
        var arguments = ""
    }

    package init(_ compatibility: Compatibility = .skein) { isStrict = compatibility == .strict }

    package mutating func receive(_ event: JSONValue) {
        for key in ["id", "object", "model"] where head[key] == nil {
            head[key] = event[key]?.stringValue.map { .string($0) }
        }
        if head["created"] == nil, event["created"]?.uint64Value != nil { head["created"] = event["created"] }
        if let counts = event["usage"]?.nonNull, isStrict || counts.objectValue != nil { usage = counts }
        for choice in event["choices"]?.arrayValue ?? [] where isStrict || choice.objectValue != nil {
            choices[choice["index"]?.uint64Value ?? 0, default: Choice()].receive(choice, isStrict: isStrict)
        }
    }

    package var body: JSONValue {
        var body = head
        if let object = head["object"]?.stringValue, object.hasSuffix(".chunk") {
            body["object"] = .string(String(object.dropLast(6)))
        }
        body["usage"] = usage
        let ordered = choices.sorted { $0.key < $1.key }
        body["choices"] = .array(ordered.map { $0.value.json(index: $0.key) })
        return .object(body)
    }
}

extension OpenAIChatStream.Choice {
    mutating func receive(_ chunk: JSONValue, isStrict: Bool) {
        if let reason = chunk["finish_reason"]?.stringValue { finishReason = reason }
        guard let delta = chunk["delta"] else { return }
        if let word = delta["role"]?.stringValue { role = word }
        if let text = delta["content"]?.stringValue {
            if content == nil { content = "" }
            content?.append(text)
        }
        for call in delta["tool_calls"]?.arrayValue ?? [] where isStrict || call.objectValue != nil {
            calls[call["index"]?.uint64Value ?? 0, default: .init()].receive(call)
        }
    }

    func json(index: UInt64) -> JSONValue {
        var message = JSONObject([
            ("content", content.map { .string($0) } ?? .null), ("role", .string(role ?? "assistant")),
        ])
        if !calls.isEmpty { message["tool_calls"] = .array(calls.sorted { $0.key < $1.key }.map(\.value.json)) }
        return [
            "finish_reason": finishReason.map { .string($0) } ?? .null, "index": JSONValue(count: index),
            "message": .object(message),
        ]
    }
}

extension OpenAIChatStream.Call {
    mutating func receive(_ chunk: JSONValue) {
        if let id = chunk["id"]?.stringValue { self.id = id }
        if let type = chunk["type"]?.stringValue { self.type = type }
        guard let function = chunk["function"] else { return }
        if let name = function["name"]?.stringValue { self.name = name }
        if let text = function["arguments"]?.stringValue { arguments += text }
    }

    var json: JSONValue {
        var call = JSONObject([
            ("type", .string(type ?? "function")),
            ("function", ["arguments": .string(arguments), "name": .string(name ?? "")]),
        ])
        call["id"] = id.map { .string($0) }
        return .object(call)
    }
}
