internal import ATOF
internal import LLMCodecs

/// The text that a person would want to read of a payload (`otel-projections.md` B).
struct DisplayText {
    /// Whether everything in a list that has a name is the call of a tool, as in the reference.
    let namesAreCalls: Bool

    /// `T(v)`; nil when there is nothing to read.
    func text(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let text): self.text(text)
        case .object(let object): self.text(object)
        case .array(let items): self.text(items)
        case nil, .null, .bool, .int, .unsigned, .double: nil
        }
    }

    /// A string that holds JSON is unwrapped.
    func text(_ string: String) -> String? {
        let trimmed = string.trimmed
        switch trimmed.utf8.first {
        case nil: return nil
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""):
            // Other JSON has no text, so nothing else is worth parsing.
            return StrictJSON.value(of: trimmed).flatMap { text($0) } ?? trimmed
        default: return trimmed
        }
    }

    private func text(_ object: JSONObject) -> String? {
        for key in ["content", "summary", "message", "text", "prompt"] {
            if let found = text(object[key]) { return found }
        }
        return DisplayText.responsesText(object["output"]) ?? choicesText(object["choices"])
            ?? DisplayText.requestedTools(object["tool_calls"])
    }

    private func text(_ items: [JSONValue]) -> String? {
        var lines: [String] = []
        for item in items {
            switch item {
            case .string(let line): lines.append(line)
            case .object(let object):
                let isHidden = DisplayText.hiddenTypes.contains(object["type"]?.stringValue ?? "")
                if object["stripped"]?.boolValue == true || isHidden { continue }
                if let line = object["text"]?.stringValue { lines.append(line) }
            case .null, .bool, .int, .unsigned, .double, .array: break
            }
        }
        let calls = namesAreCalls ? items : items.filter(DisplayText.isCall)
        if let tools = DisplayText.requestedTools(.array(calls)) { lines.append(tools) }
        return DisplayText.joined(lines.filter { !$0.trimmed.isEmpty }, "\n")
    }

    /// The text of a message (`otel-projections.md` B.2).
    func text(of content: MessageContent) -> String? {
        switch content {
        case .text(let text): return self.text(text)
        case .parts(let parts):
            return DisplayText.joined(
                parts.compactMap { $0.kind == .refusal ? $0.members["refusal"]?.stringValue : $0.text }, "\n")
        }
    }

    private static let hiddenTypes: Set<String> = ["thinking", "reasoning", "toolResult", "tool_result"]

    private static func joined(_ texts: [String], _ separator: String) -> String? {
        let text = texts.joined(separator: separator).trimmed
        return text.isEmpty ? nil : text
    }

    private static let callTypes: Set<String> = [
        "tool_use", "server_tool_use", "mcp_tool_use", "tool_call", "toolCall", "function_call", "custom_tool_call",
        "mcp_call",
    ]

    /// Whether an item of a list is the call of a tool: it says so, or has arguments. Documents and search results have names as well.
    private static func isCall(_ item: JSONValue) -> Bool {
        if let type = item["type"]?.stringValue, callTypes.contains(type) { return true }
        return ["arguments", "args"].contains { (item["function"] ?? item)[$0] != nil }
    }

    private static func toolName(_ item: JSONValue) -> String? {
        item["name"]?.stringValue ?? item["toolName"]?.stringValue ?? item["function"]?["name"]?.stringValue
    }

    /// The line that names the tools of an array of calls.
    static func requestedTools(_ calls: JSONValue?) -> String? {
        let names = calls?.arrayValue?.compactMap(toolName) ?? []
        return names.isEmpty ? nil : "Requested tools: \(names.joined(separator: ", "))"
    }

    private func choicesText(_ choices: JSONValue?) -> String? {
        for choice in choices?.arrayValue ?? [] {
            guard let message = choice["message"] else { continue }
            let parts = [text(message["content"]), DisplayText.requestedTools(message["tool_calls"])].compactMap(\.self)
            if !parts.isEmpty { return parts.joined(separator: "\n") }
        }
        return nil
    }

    /// The output of OpenAI's Responses API.
    private static func responsesText(_ output: JSONValue?) -> String? {
        var entries: [String] = []
        var calls: [JSONValue] = []
        for item in output?.arrayValue ?? [] {
            switch item["type"]?.stringValue {
            case "message":
                let blocks = (item["content"]?.arrayValue ?? []).compactMap { block -> String? in
                    let type = block["type"]?.stringValue
                    return type == "output_text" || type == "text" ? block["text"]?.stringValue : nil
                }
                let text = blocks.joined(separator: "\n\n").trimmed
                if !text.isEmpty { entries.append(String(text)) }
            case "function_call": calls.append(item)
            case .some, nil: break
            }
        }
        if let tools = requestedTools(.array(calls)) { entries.append(tools) }
        return joined(entries, "\n")
    }

    /// What was said to a model (`otel-projections.md` B.3).
    func llmInput(_ input: JSONValue) -> String? {
        let content = input["content"] ?? input
        let messages = content["messages"]?.arrayValue ?? []
        var lines: [(role: String, text: String)] = []
        lines.reserveCapacity(messages.count)
        for message in messages {
            let role = message["role"]?.stringValue ?? "message"
            if role == "tool" {
                lines.append((role, "Tool result omitted"))
            } else if let text = text(message["content"]) ?? DisplayText.requestedTools(message["tool_calls"]) {
                lines.append((role, text))
            }
        }
        return DisplayText.joined(lines) ?? text(content)
    }

    /// What was said and by whom, in paragraphs.
    private static func joined(_ lines: [(role: String, text: String)]) -> String? {
        var text = ""
        text.reserveCapacity(lines.reduce(0) { $0 + $1.role.utf8.count + $1.text.utf8.count + 4 })
        for line in lines {
            if !text.isEmpty { text += "\n\n" }
            text += line.role
            text += ": "
            text += line.text
        }
        text = text.trimmed
        return text.isEmpty ? nil : text
    }
}
