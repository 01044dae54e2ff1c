package import ATOF

/// One message of a request, as its wire form (`codecs-and-pricing.md` 1.2).
package struct Message: Sendable, Hashable {
    /// The discriminator of messages on the wire.
    package enum Role: String, Sendable, Hashable {
        case system, user, developer, assistant, tool, function
        case toolCall = "tool_call"
        case toolResult = "tool_result"
        case native = "provider_native"
    }

    package let role: Role
    /// Absent on an assistant's message without text, and on the roles that come from Responses items.
    package let content: MessageContent?
    /// Calls of an assistant message; nil when it has no such member.
    package let toolCalls: [ToolCall]?
    /// All members, `role` and unknown ones included: `name`, `tool_call_id`, `call_id`, `arguments`, `output`.
    package let members: JSONObject

    /// Which call a tool's message answers; empty when it has no such member.
    var toolCallID: String { members["tool_call_id"]?.stringValue ?? "" }
    /// The call that a call, or the answer to one, is; nil for other messages.
    var identity: String? {
        switch role {
        case .tool: "\(role.rawValue) \(toolCallID)"
        case .toolCall, .toolResult: members["call_id"]?.stringValue.map { "\(role.rawValue) \($0)" }
        case .system, .user, .developer, .assistant, .function, .native: nil
        }
    }

    package var native: NativeValue? { role == .native ? NativeValue(members) : nil }

    init(role: Role, content: MessageContent?, toolCalls: [ToolCall]? = nil, members: JSONObject) {
        self.role = role
        self.content = content
        self.toolCalls = toolCalls
        self.members = members
    }

    /// A message whose members are its parts and `others`.
    init(_ role: Role, _ content: MessageContent?, toolCalls: [ToolCall]? = nil, others: JSONObject = JSONObject()) {
        var members = others
        members["role"] = .string(role.rawValue)
        members["content"] = content?.json
        members["tool_calls"] = toolCalls.map { .array($0.map(\.requestJSON)) }
        self.init(role: role, content: content, toolCalls: toolCalls, members: members)
    }

    init(native: NativeValue) {
        var members = native.members
        members["role"] = .string(Role.native.rawValue)
        self.init(role: .native, content: nil, members: members)
    }

    /// Reads the form that annotations have.
    ///
    /// - Parameter part: reads a part of the content; without it the part has the form of annotations.
    init(
        _ value: JSONValue, rejecting kind: CodecError.Kind, part: ContentPart.Decoder? = nil
    ) throws(CodecError) {
        var reader = try MemberReader(value, "a message", rejecting: kind)
        guard let role = Role(rawValue: try reader.requiredString("role")) else {
            throw CodecError(kind, "a message has an unknown role")
        }
        var content: MessageContent?
        var toolCalls: [ToolCall]?
        var complete = true
        switch role {
        case .system, .user, .developer:
            content = try reader.content("content", part: part)
            complete = content != nil
            _ = try reader.string("name")
        case .assistant:
            content = try reader.content("content", part: part)
            toolCalls = try Message.toolCalls(&reader)
            _ = try reader.string("name")
        case .tool:
            content = try reader.content("content", part: part)
            complete = content != nil
            _ = try reader.requiredString("tool_call_id")
        case .function:
            content = try reader.string("content").map { .text($0) }
            _ = try reader.requiredString("name")
        case .toolCall:
            _ = try reader.requiredString("call_id")
            _ = try reader.requiredString("name")
            complete = reader.any("arguments") != nil
        case .toolResult:
            _ = try reader.requiredString("call_id")
            complete = reader.any("output") != nil
        case .native: complete = NativeValue(reader.object) != nil
        }
        guard complete else { throw CodecError(kind, "a \(role.rawValue) message lacks its content") }
        var members = reader.object
        if part != nil, case .parts = content { members["content"] = content?.json }
        self.init(role: role, content: content, toolCalls: toolCalls, members: members)
    }

    /// The message with nothing but what its role has in the model, and without nulls; what surfaces call items has all else.
    var modelled: Message {
        let keys: [String]
        switch role {
        case .system, .user, .developer: keys = ["role", "content", "name"]
        case .assistant: keys = ["role", "content", "name", "tool_calls"]
        case .tool: keys = ["role", "content", "tool_call_id"]
        case .function: keys = ["role", "content", "name"]
        case .toolCall, .toolResult:
            guard members["id"]?.isNull ?? false else { return self }
            var members = members
            members["id"] = nil
            return Message(role: role, content: nil, members: members)
        case .native: return self
        }
        let content = content?.modelled
        let all = members
        var members = all.filtered { keys.contains(all.members[$0].key) }
        members["tool_calls"] = toolCalls.map { .array($0.map(\.requestJSON)) }
        if role != .function { members["content"] = content?.json }
        members["name"] = members["name"]?.nonNull
        return Message(role: role, content: content, toolCalls: toolCalls, members: members)
    }

    static func toolCalls(_ reader: inout MemberReader) throws(CodecError) -> [ToolCall]? {
        guard let elements = try reader.array("tool_calls") else { return nil }
        var calls: [ToolCall] = []
        for element in elements { calls.append(try ToolCall(ofRequest: element, rejecting: reader.kind)) }
        return calls
    }
}
