internal import ATOF

extension Gemini {
    /// Writes an edited request into its body.
    static func encode(_ editor: BodyEditor) throws(CodecError) -> JSONObject {
        var editor = editor
        try editor.refuseChanges(of: [
            "instructions", "tool_choice", "store", "previous_response_id", "truncation", "reasoning", "include",
            "user",
            "metadata", "service_tier", "parallel_tool_calls", "max_output_tokens", "max_tool_calls", "top_logprobs",
            "stream", "api_specific",
        ])
        if editor.isChanged("messages") {
            try encodeSystem(&editor)
            try encodeContents(&editor)
        }
        if editor.isChanged("tools") {
            if let tools = editor.edited.tools {
                let groups = try encode(tools, into: editor.body["tools"]?.arrayValue ?? [])
                editor.body["tools"] = groups.isEmpty ? nil : .array(groups)
            } else {
                editor.body["tools"] = nil
            }
        }
        if editor.isChanged("params") {
            let config = editor.body["generationConfig"]?.objectValue ?? JSONObject()
            var inner = BodyEditor(baseline: editor.baseline, edited: editor.edited, body: config)
            inner.sampling(topP: "topP")
            inner.parameter(\.maxTokens, at: "maxOutputTokens") { JSONValue(count: $0) }
            inner.parameter(\.stop, at: "stopSequences") { .array($0.map { .string($0) }) }
            if inner.body != config {
                editor.body["generationConfig"] = inner.body.isEmpty ? nil : .object(inner.body)
            }
        }
        editor.copy([WireMembers(.string, ["model"])])
        editor.extras()
        return editor.body
    }

    // MARK: System instruction

    /// The system messages, wherever they are, become one instruction.
    private static func encodeSystem(_ editor: inout BodyEditor) throws(CodecError) {
        let after = try systemText(of: editor.edited.messages)
        guard try systemText(of: editor.baseline.messages) != after else { return }
        guard let after else {
            editor.body["systemInstruction"] = nil
            return
        }
        var instruction = editor.body["systemInstruction"]?.objectValue ?? JSONObject()
        instruction["parts"] = [["text": .string(after)]]
        editor.body["systemInstruction"] = .object(instruction)
    }

    private static func systemText(of messages: [Message]) throws(CodecError) -> String? {
        var texts: [String] = []
        for message in messages where message.role == .system {
            try refuseName(of: message)
            switch message.content {
            case nil: break
            case .text(let text): texts.append(text)
            case .parts(let parts):
                let lines = try parts.map { (part) throws(CodecError) in
                    guard part.kind == .text, let text = part.text else {
                        throw CodecError(.invalidArgument, "a system message must be text")
                    }
                    return text
                }
                texts.append(lines.joined(separator: "\n"))
            }
        }
        texts.removeAll(where: \.isEmpty)
        return texts.isEmpty ? nil : texts.joined(separator: "\n")
    }

    static func refuseName(of message: Message) throws(CodecError) {
        guard message.role == .native || message.members["name"] == nil else {
            throw CodecError(.invalidArgument, "a message has no name in Gemini")
        }
    }

    // MARK: Tools

    /// Functions go into the group that has them, native tools stay where they are.
    private static func encode(_ tools: [ToolDefinition], into groups: [JSONValue]) throws(CodecError) -> [JSONValue] {
        let functionGroups = groups.filter { $0["functionDeclarations"] != nil }
        guard functionGroups.count <= 1 else {
            throw CodecError(.invalidArgument, "tools of several groups with functionDeclarations cannot be changed")
        }
        var declarations: [JSONValue] = []
        var natives: [JSONValue] = []
        for tool in tools {
            guard let function = tool.function else {
                natives.append(try BodyEditor.value(of: tool.native, provider: "gemini"))
                continue
            }
            guard tool.members.count == 2, function["strict"] == nil || isOriginal(function, in: functionGroups) else {
                throw CodecError(.invalidArgument, "a function has no strict and nothing beside it in Gemini")
            }
            declarations.append(.object(function))
        }
        var result: [JSONValue] = []
        for group in groups {
            guard var members = group.objectValue else { continue }
            let isFunctionGroup = members["functionDeclarations"] != nil
            members["functionDeclarations"] = nil
            if !isFunctionGroup || !members.isEmpty {
                if let index = natives.firstIndex(of: .object(members)) {
                    natives.remove(at: index)
                } else {
                    members = JSONObject()
                    if !isFunctionGroup { continue }
                }
            }
            if isFunctionGroup, !declarations.isEmpty { members["functionDeclarations"] = .array(declarations) }
            if !isFunctionGroup || !members.isEmpty { result.append(.object(members)) }
        }
        if functionGroups.isEmpty, !declarations.isEmpty {
            result.append(["functionDeclarations": .array(declarations)])
        }
        return result + natives
    }

    private static func isOriginal(_ function: JSONObject, in groups: [JSONValue]) -> Bool {
        groups.contains { $0["functionDeclarations"]?.arrayValue?.contains(.object(function)) ?? false }
    }
}
