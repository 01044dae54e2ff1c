internal import ATOF
internal import LLMCodecs

extension TrajectoryContext {
    /// What of a request's annotation may stay.
    func request(_ annotation: JSONObject, _ compatibility: Compatibility) -> JSONObject {
        var kept = JSONObject()
        for (key, value) in annotation.members.map({ ($0.key, $0.value) }) {
            switch key {
            case "model": kept[key] = model(value)
            case "messages": kept[key] = .array((value.arrayValue ?? []).map(message))
            case "instructions": kept[key] = content(value)
            case "params", "api_specific": kept[key] = .object(members(value.objectValue, compatibility))
            case "tools": kept[key] = .array((value.arrayValue ?? []).map(tool))
            case "tool_choice": kept[key] = choice(value)
            case "store", "parallel_tool_calls", "stream", "max_output_tokens", "max_tool_calls", "top_logprobs":
                kept[key] = scalar(value)
            case "user", "previous_response_id": kept[key] = text
            case "metadata", "reasoning", "truncation": kept[key] = [:]
            case "include": kept[key] = list(compatibility)
            default: break
            }
        }
        return kept
    }

    /// The reference puts an object where a list must be, and loses the request.
    private func list(_ compatibility: Compatibility) -> JSONValue { compatibility == .strict ? [:] : [] }

    private static let vocabulary: Set<String> = ["api", "api_format"]
    /// Members that may be anything.
    private static let untyped: Set<String> = ["function_call", "conversation"]

    /// Numbers and flags stay, texts are replaced, and objects are emptied.
    private func members(_ members: JSONObject?, _ compatibility: Compatibility) -> JSONObject {
        var kept = JSONObject()
        for member in members ?? JSONObject() {
            if TrajectoryContext.vocabulary.contains(member.key) {
                kept[member.key] = word(member.value)
            } else if TrajectoryContext.untyped.contains(member.key) {
                kept[member.key] = [:]
            } else if member.key == "context_management" {
                kept[member.key] = list(compatibility)
            } else if member.key == "modalities" {
                kept[member.key] = modalities(member.value)
            } else {
                kept[member.key] = shape(member.value)
            }
        }
        return kept
    }

    private func modalities(_ value: JSONValue) -> JSONValue {
        .array((value.arrayValue ?? []).map { ["text", "audio", "image"].contains($0) ? $0 : text })
    }

    private func shape(_ value: JSONValue) -> JSONValue {
        switch value {
        case .null, .bool, .int, .unsigned, .double: value
        case .string: text
        case .array(let elements): .array(elements.map(shape))
        case .object: [:]
        }
    }

    // MARK: Messages

    private func message(_ value: JSONValue) -> JSONValue {
        guard let members = value.objectValue, let role = members["role"] else { return [:] }
        if role == "provider_native" { return .object(native(members, with: ["role": role])) }
        var kept = JSONObject([("role", role)])
        for member in members {
            switch (member.key, role) {
            case ("content", _): kept["content"] = member.value.isNull ? .null : content(member.value)
            case ("name", "function"), ("name", "tool_call"): kept["name"] = name(member.value)
            case ("name", _), ("tool_call_id", _), ("call_id", _), ("id", _): kept[member.key] = text
            case ("arguments", "tool_call"), ("output", "tool_result"): kept[member.key] = [:]
            case ("tool_calls", _): kept["tool_calls"] = .array((member.value.arrayValue ?? []).map(call))
            default: break
            }
        }
        return .object(kept)
    }

    private func call(_ value: JSONValue) -> JSONValue {
        [
            "function": ["arguments": "{}", "name": name(value["function"]?["name"]) ?? text], "id": text,
            "type": "function",
        ]
    }

    func content(_ value: JSONValue) -> JSONValue {
        guard let parts = value.arrayValue else { return text }
        return .array(parts.map(part))
    }

    private func part(_ value: JSONValue) -> JSONValue {
        guard let members = value.objectValue, let type = word(members["type"])?.stringValue else { return [:] }
        var kept = JSONObject([("type", .string(type))])
        switch type {
        case "text", "refusal": kept[type] = text
        case "image_url":
            var image = JSONObject([("url", text)])
            if let detail = members["image_url"]?["detail"], ["low", "high", "auto"].contains(detail) {
                image["detail"] = detail
            }
            kept[type] = .object(image)
        case "tool_use":
            kept["id"] = text
            kept["name"] = name(members["name"])
            kept["input"] = [:]
        case "tool_result":
            kept["tool_use_id"] = text
            kept["content"] = [:]
            kept["is_error"] = members["is_error"].map { _ in false }
        case "provider_native": return .object(native(members, with: ["type": "provider_native"]))
        default: kept[type] = [:]
        }
        return .object(kept)
    }

    /// A provider's own value, of which nothing but the provider is known.
    private func native(_ members: JSONObject, with discriminator: JSONValue = [:]) -> JSONObject {
        var kept = discriminator.objectValue ?? JSONObject()
        kept["provider"] = word(members["provider"])
        kept["kind"] = text
        kept["value"] = [:]
        return kept
    }

    // MARK: Tools

    private func tool(_ value: JSONValue) -> JSONValue {
        guard let function = value["function"]?.objectValue else {
            return .object(native(value.objectValue ?? JSONObject(), with: ["type": "provider_native"]))
        }
        var kept = JSONObject()
        kept["name"] = name(function["name"])
        kept["description"] = function["description"].map { _ in text }
        kept["parameters"] = function["parameters"].map { _ in [:] }
        kept["strict"] = function["strict"].map { _ in false }
        return ["function": .object(kept), "type": "function"]
    }

    private func choice(_ value: JSONValue) -> JSONValue {
        guard let members = value.objectValue else { return word(value) ?? .null }
        if members["function"] != nil {
            return ["function": ["name": name(members["function"]?["name"]) ?? text], "type": "function"]
        }
        return .object(native(members))
    }
}
