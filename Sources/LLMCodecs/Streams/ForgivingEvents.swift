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
        case .anthropicMessages:
            // A count that is null was not counted again; it does not take back what was.
            guard let usage = event["usage"]?.objectValue else { return event }
            object["usage"] = .object(usage.filtered { !usage.members[$0].value.isNull })
        case .openAIResponses, .ociGenAI: return event
        }
        return .object(object)
    }

    private mutating func choice(_ value: JSONValue) -> JSONValue {
        guard var choice = value.objectValue else { return value }
        // Of text completions.
        if choice["finish_reason"] == "" { choice["finish_reason"] = nil }
        if choice["delta"] == nil, let text = choice["text"] { choice["delta"] = ["content": text] }
        guard var delta = choice["delta"]?.objectValue else { return .object(choice) }
        if delta["content"]?.arrayValue != nil {
            delta["content"] = .string(ForgivingBodies.text(of: delta["content"]))
        }
        if delta["tool_calls"]?.arrayValue?.isEmpty ?? true, let function = delta["function_call"]?.objectValue,
            function["name"] != nil || function["arguments"] != nil
        {
            delta["tool_calls"] = [["function": .object(function)]]
        }
        if let calls = delta["tool_calls"]?.arrayValue {
            let index = choice["index"]?.uint64Value ?? 0
            delta["tool_calls"] = .array(calls.map { call($0, of: index) })
        }
        choice["delta"] = .object(delta)
        return .object(choice)
    }

    /// Empty names do not replace those that came. A known id under another one's index is its call's; another id under a known index is
    /// another call if it says of which function. One id under two indices is two calls: some servers take the function's name for it.
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
            if known == id {
                // It goes on.
            } else if let own = indices[name], !hasName || known != nil {
                index = own
            } else if known == nil || hasName {
                // Behind all that a provider numbers.
                if known != nil { index = (1 << 32) + UInt64(ids.count) }
                ids[Place(choice: choice, call: index)] = id
                indices[name] = index
            } else {
                call["id"] = nil
            }
            moved[said] = index == said.call ? nil : index
        }
        call["index"] = JSONValue(count: index)
        return .object(call)
    }
}
