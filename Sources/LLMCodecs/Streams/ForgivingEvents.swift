internal import ATOF

/// Events of a stream as gateways send them, put into the form that the provider's own have, one after the other.
struct ForgivingEvents: Sendable {
    private let surface: Surface
    /// The ids of chat calls by choice and index, and the indices that calls got which came under another one's.
    private var ids: [Place: String] = [:]
    private var moved: [Place: UInt64] = [:]

    private struct Place: Hashable {
        let choice: UInt64
        let call: UInt64
    }

    init(_ surface: Surface) { self.surface = surface }

    mutating func next(_ event: JSONValue) -> JSONValue {
        guard var object = event.objectValue else { return event }
        switch surface {
        case .gemini:
            // Vertex leaves out an index of zero, and only one candidate is read.
            guard var first = event["candidates"]?[0]?.objectValue else { return event }
            first["index"] = 0
            object["candidates"] = [.object(first)]
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
        if let calls = delta["tool_calls"]?.arrayValue {
            let index = choice["index"]?.uint64Value ?? 0
            delta["tool_calls"] = .array(calls.map { call($0, of: index) })
        }
        choice["delta"] = .object(delta)
        return .object(choice)
    }

    /// Empty names do not replace those that came; another id under a known index is another call.
    private mutating func call(_ value: JSONValue, of choice: UInt64) -> JSONValue {
        guard var call = value.objectValue else { return value }
        if call["id"] == "" { call["id"] = nil }
        if var function = call["function"]?.objectValue, function["name"] == "" {
            function["name"] = nil
            call["function"] = .object(function)
        }
        let said = call["index"]?.uint64Value ?? 0
        var place = Place(choice: choice, call: said)
        var index = moved[place] ?? said
        if let id = call["id"]?.stringValue {
            let known = ids[Place(choice: choice, call: index)]
            if let known, known != id {
                // Behind all that a provider numbers.
                index = (1 << 32) + UInt64(ids.count)
                moved[place] = index
            }
            place = Place(choice: choice, call: index)
            ids[place] = id
        }
        if index != said { call["index"] = JSONValue(count: index) }
        return .object(call)
    }
}
