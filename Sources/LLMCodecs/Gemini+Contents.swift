internal import ATOF

extension Gemini {
    /// What the messages have in common with the original ones at both ends keeps its contents; those between are
    /// written anew, with the thoughts and signatures of the contents that they replace.
    static func encodeContents(_ editor: inout BodyEditor) throws(CodecError) {
        let originals = editor.body["contents"]?.arrayValue ?? []
        let edited = editor.edited.messages.filter { $0.role != .system }
        let baseline = editor.baseline.messages.filter { $0.role != .system }
        // The place of each content's first message, and the end.
        var starts = [0]
        for content in originals { starts.append(starts[starts.count - 1] + messageCount(of: content)) }
        guard edited != baseline, starts[starts.count - 1] == baseline.count else { return }
        let limit = min(edited.count, baseline.count)
        let prefix = zip(edited, baseline).prefix { $0 == $1 }.count
        let suffix = zip(edited.reversed(), baseline.reversed()).prefix(limit - prefix).prefix { $0 == $1 }.count
        // A content with several messages is kept only as a whole.
        let head = (starts.lastIndex { $0 <= prefix }) ?? 0
        let tail = max(head, starts.firstIndex { $0 >= baseline.count - suffix } ?? originals.count)
        let middle = edited[starts[head]..<(edited.count - (baseline.count - starts[tail]))]
        let groups = grouped(middle)
        let replaced = originals[head..<tail]
        var contents: [JSONValue] = []
        let functions = functionNames(in: edited)
        for (index, group) in groups.enumerated() {
            let original = replaced.count == groups.count ? replaced[replaced.startIndex + index] : nil
            contents.append(try content(of: group, original: original, functions: functions))
        }
        editor.body["contents"] = .array(originals[..<head] + contents + originals[tail...])
    }

    private static func messageCount(of content: JSONValue) -> Int {
        max(1, (content["parts"]?.arrayValue ?? []).filter { $0["functionResponse"] != nil }.count)
    }

    /// Messages by the content that they go into: results of tools that follow each other share one, as long as they have
    /// different ids.
    private static func grouped(_ messages: ArraySlice<Message>) -> [[Message]] {
        var groups: [[Message]] = []
        for message in messages {
            if message.role == .tool, let last = groups.last, last[0].role == .tool,
                !last.contains(where: { $0.toolCallID == message.toolCallID })
            {
                groups[groups.count - 1].append(message)
            } else {
                groups.append([message])
            }
        }
        return groups
    }

    /// The functions that were called, by the ids of the calls.
    private static func functionNames(in messages: [Message]) -> [String: String] {
        var names: [String: String] = [:]
        for call in messages.lazy.compactMap(\.toolCalls).joined() { names[call.id] = call.name }
        return names
    }

    private static func content(
        of group: [Message], original: JSONValue?, functions: [String: String]
    ) throws(CodecError) -> JSONValue {
        for message in group { try refuseName(of: message) }
        guard let first = group.first else { return [:] }
        switch first.role {
        case .tool:
            let parts = try group.map { (message) throws(CodecError) in try responsePart(message, functions) }
            return ["parts": .array(parts), "role": "user"]
        case .user, .assistant: return try content(of: first, original: original)
        case .native: return try BodyEditor.value(of: first.native, provider: "gemini")
        case .system, .developer, .function, .toolCall, .toolResult:
            throw CodecError(.invalidArgument, "a \(first.role.rawValue) message has no place in Gemini")
        }
    }

    // MARK: Turns

    private static func content(of message: Message, original: JSONValue?) throws(CodecError) -> JSONValue {
        let role = message.role == .user ? "user" : "model"
        guard message.role == .assistant || message.toolCalls?.isEmpty ?? true else {
            throw CodecError(.invalidArgument, "only the model calls functions")
        }
        let calls = try (message.toolCalls ?? []).map(callPart)
        let visible = try visibleParts(message.content, hasCalls: !calls.isEmpty)
        guard var content = original?.objectValue, (content["role"] ?? "user") == .string(role) else {
            return ["parts": .array(visible + calls), "role": .string(role)]
        }
        let parts = try (content["parts"]?.arrayValue ?? []).map { (part) throws(CodecError) in try Part(part) }
        let newCalls = try parts.filter(\.isCall).count == calls.count ? patched(parts, calls) : calls
        content["parts"] = .array(
            try visibleContent(parts) == message.content
                ? merged(parts, visible: nil, calls: newCalls)
                : retexted(parts, message).map { merged($0, visible: nil, calls: newCalls) }
                    ?? merged(parts, visible: visible, calls: newCalls))
        return .object(content)
    }

    /// The parts with another text: the first of text keeps its place and what it has beside the text, the others of
    /// text go, and all else stays. Nil when a visible part that is no text comes first, or the message is no plain text.
    private static func retexted(_ parts: [Part], _ message: Message) throws(CodecError) -> [Part]? {
        let visible = parts.filter(\.isVisible)
        guard case .text(let text) = message.content, visible.first?.dataKey == "text",
            !text.isEmpty || visible.contains(where: { $0.dataKey != "text" })
        else { return nil }
        var result: [Part] = []
        var isWritten = text.isEmpty
        for part in parts {
            if !part.isVisible || part.dataKey != "text" {
                result.append(part)
            } else if !isWritten {
                var members = part.members
                members["text"] = .string(text)
                result.append(try Part(.object(members)))
                isWritten = true
            }
        }
        return result
    }

    /// - Parameters:
    ///   - visible: what replaces the visible parts; nil keeps them.
    ///   - calls: what replaces the calls.
    private static func merged(_ parts: [Part], visible: [JSONValue]?, calls: [JSONValue]) -> [JSONValue] {
        var before: [JSONValue] = []
        var after: [JSONValue] = []
        var calls = calls
        var visible = visible
        for part in parts {
            if part.isCall {
                after += calls
                calls = []
            } else if !part.isVisible || visible == nil {
                if after.isEmpty { before.append(.object(part.members)) } else { after.append(.object(part.members)) }
            } else if let replacement = visible {
                if after.isEmpty { before += replacement } else { after += replacement }
                visible = []
            }
        }
        return before + (visible ?? []) + after + calls
    }

    /// Calls with what their originals have beside them, such as signatures.
    private static func patched(_ parts: [Part], _ calls: [JSONValue]) throws(CodecError) -> [JSONValue] {
        try zip(parts.filter(\.isCall), calls).map { (pair) throws(CodecError) in
            let before = try pair.0.call()
            let portable = ToolCall(id: before.id, name: before.name, arguments: .string(before.arguments.compactText))
            guard try callPart(portable) != pair.1 else { return .object(pair.0.members) }
            guard pair.1["functionCall"]?["name"] == .string(before.name) else { return pair.1 }
            var members = pair.0.members
            members["functionCall"] = pair.1["functionCall"]
            return .object(members)
        }
    }

    private static func visibleParts(_ content: MessageContent?, hasCalls: Bool) throws(CodecError) -> [JSONValue] {
        switch content {
        case nil: []
        case .text(let text): text.isEmpty && hasCalls ? [] : [["text": .string(text)]]
        case .parts(let parts):
            try parts.map { (part) throws(CodecError) in
                switch part.kind {
                case .text:
                    var members = part.members
                    members["type"] = nil
                    return .object(members)
                case .native: return try BodyEditor.value(of: part.native, provider: "gemini")
                case .imageURL, .image, .audio, .file, .refusal, .toolUse, .toolResult:
                    throw CodecError(.invalidArgument, "a part of type \(part.kind.rawValue) has no place in Gemini")
                }
            }
        }
    }

    private static func callPart(_ call: ToolCall) throws(CodecError) -> JSONValue {
        guard let arguments = call.arguments.stringValue.flatMap(StrictJSON.value), arguments.objectValue != nil else {
            throw CodecError(.invalidArgument, "arguments of a call must be a JSON object in Gemini")
        }
        var members = JSONObject([("args", arguments), ("name", .string(call.name))])
        if call.id != call.name, !call.id.isEmpty { members["id"] = .string(call.id) }
        return ["functionCall": .object(members)]
    }

    // MARK: Results of tools

    private static func responsePart(
        _ message: Message, _ functions: [String: String]
    ) throws(CodecError) -> JSONValue {
        guard message.role == .tool, let id = message.members["tool_call_id"]?.stringValue else {
            throw CodecError(.invalidArgument, "a tool message lacks its tool_call_id")
        }
        let name = functions[id] ?? id
        var members = JSONObject([("name", .string(name))])
        if id != name { members["id"] = .string(id) }
        switch message.content {
        case nil: members["response"] = [:]
        case .text(let text): members["response"] = response(text)
        case .parts(let parts):
            guard let text = parts.first.flatMap({ $0.kind == .text ? $0.text : nil }) else {
                throw CodecError(.invalidArgument, "the first part of a tool message must be text in Gemini")
            }
            members["response"] = response(text)
            members["parts"] = .array(
                try parts.dropFirst().map { (part) throws(CodecError) in
                    try BodyEditor.value(of: part.native, provider: "gemini")
                })
        }
        return ["functionResponse": .object(members)]
    }

    private static func response(_ text: String) -> JSONValue {
        let value = StrictJSON.value(of: text) ?? .string(text)
        return value.objectValue == nil ? ["output": value] : value
    }
}
