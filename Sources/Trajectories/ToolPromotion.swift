internal import ATOF
internal import LLMCodecs

/// The tool calls that a raw response asks for (`atif-trajectories.md` 3.10).
enum ToolPromotion {
    /// The calls, those of surfaces that the reference does not read included unless it is followed.
    static func calls(
        in data: JSONValue, response: @autoclosure () -> NormalizedResponse?, compatibility: Compatibility
    ) -> [StepCall] {
        let calls = calls(in: data, compatibility)
        if compatibility.isStrict { return calls }
        if !calls.isEmpty { return calls.map(readable) }
        // One function in the old form, which the reference passes over.
        if let function = data.objectValue.flatMap(chatMessage)?["function_call"]?.objectValue {
            return promoted([.object(function)])
        }
        return (response()?.toolCalls ?? []).map {
            readable(StepCall(id: $0.id, name: $0.name, arguments: normalized($0.arguments)))
        }
    }

    /// A chat call of a custom tool, which has a text for arguments, as one of a function.
    private static func withFunction(_ call: JSONValue) -> JSONValue {
        guard var object = call.objectValue, object["function"] == nil, let custom = object["custom"] else {
            return call
        }
        object["custom"] = nil
        object["function"] = ["name": custom["name"] ?? "", "arguments": custom["input"] ?? ""]
        return .object(object)
    }

    /// A Responses call of a custom tool likewise; the reference passes over it.
    private static func withType(_ item: JSONValue) -> JSONValue {
        guard item["type"] == "custom_tool_call", var object = item.objectValue else { return item }
        object["type"] = "function_call"
        return .object(object)
    }

    /// Tools that take no arguments are called with an empty text.
    private static func readable(_ call: StepCall) -> StepCall {
        guard call.arguments == ["raw": ""] else { return call }
        return StepCall(id: call.id, name: call.name, arguments: [:], extra: call.extra)
    }

    static func calls(in response: JSONValue, _ compatibility: Compatibility) -> [StepCall] {
        guard let object = response.objectValue else { return [] }
        if let list = callList(object), !list.isEmpty {
            return promoted(compatibility.isStrict ? list : list.map(withFunction))
        }
        let output = object["output"]?.arrayValue ?? []
        let items = (compatibility.isStrict ? output : output.map(withType)).filter { $0["type"] == "function_call" }
        if !items.isEmpty { return promoted(items) }
        guard object["type"] == "message" else { return [] }
        return promoted((object["content"]?.arrayValue ?? []).filter { $0["type"] == "tool_use" })
    }

    /// Whether the response has a list of calls, be it empty; items of a Responses output are none.
    static func hasCallList(_ response: JSONObject) -> Bool { callList(response) != nil }

    /// `choices[0].message`, which hooks wrap into `raw_response`.
    static func chatMessage(_ response: JSONObject) -> JSONValue? {
        (response["raw_response"] ?? .object(response))["choices"]?[0]?["message"]
    }

    private static func callList(_ response: JSONObject) -> [JSONValue]? {
        response["tool_calls"]?.arrayValue ?? response["assistant_message"]?["tool_calls"]?.arrayValue
            ?? chatMessage(response)?["tool_calls"]?.arrayValue
    }

    /// An element that is no object voids the list.
    private static func promoted(_ elements: [JSONValue]) -> [StepCall] {
        var calls: [StepCall] = []
        for (index, element) in elements.enumerated() {
            guard let object = element.objectValue else { return [] }
            if let call = promoted(object, position: index + 1) { calls.append(call) }
        }
        return calls
    }

    private static func promoted(_ object: JSONObject, position: Int) -> StepCall? {
        let function = object["function"]?.objectValue
        // Responses items have an id of the item and an id of the call.
        let idKeys =
            object["type"] == "function_call" ? ["call_id", "id", "tool_call_id"] : ["id", "tool_call_id", "call_id"]
        var id = idKeys.lazy.compactMap { object[$0]?.stringValue }.first { !$0.isEmpty } ?? ""
        let name =
            function?["name"]?.stringValue
            ?? ["name", "toolName", "tool_name", "function_name"].lazy.compactMap { object[$0]?.stringValue }.first
            ?? ""
        if id.isEmpty {
            if name.isEmpty { return nil }
            id = "\(name):\(position)"
        }
        let arguments =
            function?["arguments"] ?? ["arguments", "args", "input"].lazy.compactMap { object[$0] }.first ?? .null
        return StepCall(
            id: id, name: name, arguments: normalized(arguments), extra: extra(of: object, function: function))
    }

    /// Arguments as an object.
    static func normalized(_ arguments: JSONValue) -> JSONValue {
        switch arguments {
        case .object: return arguments
        case .null: return [:]
        case .string(let text):
            guard let value = StrictJSON.value(of: text) else { return ["raw": arguments] }
            return value.objectValue == nil ? ["value": value] : value
        case .bool, .int, .unsigned, .double, .array: return ["value": arguments]
        }
    }

    private static let modelled: Set<String> = [
        "id", "tool_call_id", "call_id", "type", "function", "name", "tool_name", "function_name", "arguments",
        "args", "input",
    ]

    private static func extra(of object: JSONObject, function: JSONObject?) -> JSONObject? {
        var extra = object.filtered { !modelled.contains(object.members[$0].key) }
        if let function {
            let inner = function.filtered { !["name", "arguments"].contains(function.members[$0].key) }
            if !inner.isEmpty { extra["function"] = .object(inner) }
        }
        return extra.isEmpty ? nil : extra
    }
}
