internal import ATOF

/// Events of a stream as gateways send them, put into the form that the provider's own have, one after the other.
struct ForgivingEvents: Sendable {
    private let surface: Surface
    /// The indices of chat calls by their ids, and the ids by the indices.
    private var indices: [Name: UInt64] = [:]
    private var ids: [Place: String] = [:]
    /// Where a call went whose index another one had.
    private var moved: [Place: UInt64] = [:]

    private struct Name: Hashable {
        let choice: UInt64
        let id: String
    }

    private struct Place: Hashable {
        let choice: UInt64
        let call: UInt64
    }

    init(_ surface: Surface) { self.surface = surface }

    mutating func next(_ event: JSONValue) -> JSONValue {
        guard var object = event.objectValue else { return event }
        switch surface {
        case .gemini:
            object = ForgivingBodies.gemini(object)
            guard let candidates = object["candidates"]?.arrayValue else { return .object(object) }
            // Vertex leaves out an index of zero, and only the first candidate is read.
            let first = candidates.first { ($0["index"]?.nonNull ?? 0) == 0 }?.objectValue
            object["candidates"] = nil
            if var first {
                first["index"] = 0
                object["candidates"] = [.object(first)]
            }
        case .openAIChat:
            // Azure's first event has empty names.
            for key in ["id", "model", "object"] where object[key] == "" { object[key] = nil }
            if let choices = event["choices"]?.arrayValue {
                object["choices"] = .array(choices.map { choice($0) })
            }
        case .openAIResponses, .anthropicMessages, .ociGenAI: return event
        }
        return .object(object)
    }

    private mutating func choice(_ value: JSONValue) -> JSONValue {
        guard var choice = value.objectValue else { return value }
        // Of text completions.
        if choice["delta"] == nil, let text = choice["text"] { choice["delta"] = ["content": text] }
        guard var delta = choice["delta"]?.objectValue else { return value }
        if delta["content"]?.arrayValue != nil {
            delta["content"] = .string(ForgivingBodies.text(of: delta["content"]))
        }
        if let function = delta["function_call"]?.objectValue {
            delta["tool_calls"] = [["function": .object(function)]]
        }
        if let calls = delta["tool_calls"]?.arrayValue {
            let index = choice["index"]?.uint64Value ?? 0
            delta["tool_calls"] = .array(calls.map { call($0, of: index) })
        }
        choice["delta"] = .object(delta)
        return .object(choice)
    }

    /// Empty names do not replace those that came. A known id is its call's, whatever the index says; another one under a known index is
    /// another call if it says of which function.
    private mutating func call(_ value: JSONValue, of choice: UInt64) -> JSONValue {
        guard var call = value.objectValue else { return value }
        if call["id"] == "" { call["id"] = nil }
        if let custom = call["custom"], call["function"] == nil {
            call["function"] = ["name": custom["name"] ?? "", "arguments": custom["input"] ?? ""]
        }
        var hasName = false
        if var function = call["function"]?.objectValue {
            hasName = function["name"]?.stringValue?.isEmpty == false
            if !hasName { function["name"] = nil }
            if let arguments = function["arguments"]?.nonNull, arguments.stringValue == nil {
                function["arguments"] = .string(arguments.compactText)
            }
            call["function"] = .object(function)
        }
        let said = Place(choice: choice, call: call["index"]?.uint64Value ?? 0)
        var index = moved[said] ?? said.call
        if let id = call["id"]?.stringValue {
            let name = Name(choice: choice, id: id)
            let known = ids[Place(choice: choice, call: index)]
            if let own = indices[name] {
                index = own
            } else if known == nil || hasName {
                // Behind all that a provider numbers.
                if known != nil { index = (1 << 32) + UInt64(ids.count) }
                ids[Place(choice: choice, call: index)] = id
                indices[name] = index
            } else {
                call["id"] = nil
            }
            if index != said.call { moved[said] = index }
        }
        call["index"] = JSONValue(count: index)
        return .object(call)
    }
}
