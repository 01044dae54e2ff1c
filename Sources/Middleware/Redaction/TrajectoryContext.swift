internal import ATOF
internal import LLMCodecs

/// The preset `trajectory_context`: a list of what may stay (README of the pairs, 5 to 8). What is not on it goes.
///
/// A run keeps its shape: which events there were, of what kind and name, how they ended, what models were asked, with which numbers.
struct TrajectoryContext: Sendable {
    let replacement: String
    private let allowedAttributes: [String: [String]]
    /// What tells words from texts; nil in strict, which takes what it finds under a name that may stay.
    let words: StructuralWords?

    /// - Throws: never, unless a detector's own expression is wrong.
    init(_ settings: BuiltinRedaction, _ compatibility: Compatibility) throws(RedactionError) {
        replacement = settings.replacement ?? "[REDACTED]"
        allowedAttributes = settings.metricStringAttributeAllowlist ?? [:]
        words = compatibility == .strict ? nil : try StructuralWords()
    }

    /// What stands for a text.
    var text: JSONValue { .string(replacement) }

    // MARK: Metadata

    private static let errorTypes: Set<String> = [
        "already_exists", "not_found", "invalid_argument", "scope_stack_empty", "guardrail_rejected",
        "connection_error", "timeout", "retryable_status", "context_window", "model_unavailable", "authentication",
        "invalid_request", "upstream_error", "internal_error",
    ]

    private static let completions: [(key: String, words: Set<String>)] = [
        ("tool_completion_outcome", ["interrupted", "unknown"]), ("tool_completion_source", ["gateway_request"]),
        ("tool_completion_timing", ["upper_bound"]),
    ]

    /// Words of a fixed vocabulary stay.
    func metadata(_ metadata: JSONValue, _ surface: EventSurface) -> JSONValue {
        var kept = JSONObject()
        if surface == .mark {
            kept["nemo_relay.log.severity"] = severity(metadata["nemo_relay.log.severity"]?.stringValue)
            return .object(kept)
        }
        if let status = metadata["otel.status_code"]?.stringValue, ["OK", "ERROR", "UNSET"].contains(status) {
            kept["otel.status_code"] = .string(status)
            if status == "ERROR", let type = metadata["error.type"]?.stringValue,
                TrajectoryContext.errorTypes.contains(type)
            {
                kept["error.type"] = .string(type)
            }
        }
        if surface == .toolStart || surface == .toolEnd {
            for (key, words) in TrajectoryContext.completions {
                if let word = metadata[key]?.stringValue, words.contains(word) { kept[key] = .string(word) }
            }
        }
        return .object(kept)
    }

    private func severity(_ word: String?) -> JSONValue? {
        switch word?.asciiLowercased {
        case "trace"?: "trace"
        case "debug"?: "debug"
        case "info"?: "info"
        case "warn"?, "warning"?: "warn"
        case "error"?: "error"
        case nil, .some: nil
        }
    }

    // MARK: Marks

    /// The data of a mark: only measurements have anything that may stay.
    func markData(_ data: JSONValue, schema: Event.DataSchema?) -> JSONValue {
        guard schema == .measurements,
            let measurements = data["measurements"]?.arrayValue
        else { return [:] }
        return ["measurements": .array(measurements.map(measurement))]
    }

    /// What of a measurement stays, if it is of its type.
    private static let measured: [(key: String, isValid: @Sendable (JSONValue) -> Bool)] = [
        ("boundaries", Measurement.areBoundaries), ("kind", Measurement.isKind), ("name", Measurement.isName),
        ("unit", Measurement.isUnit), ("value", Measurement.isNumber),
        ("value_type", Measurement.isValueType),
    ]

    private func measurement(_ value: JSONValue) -> JSONValue {
        guard let members = value.objectValue else { return [:] }
        var kept = JSONObject()
        for (key, isValid) in TrajectoryContext.measured {
            guard let member = members[key] else { continue }
            // Null is the same as nothing.
            if words == nil || member.isNull || isValid(member) {
                kept[key] = member
            } else if key == "name" {
                // Without one it is no measurement.
                kept[key] = "redacted"
            }
        }
        if let words {
            if let name = members["name"]?.stringValue, !words.hasNoSecret(name) { kept["name"] = "redacted" }
            if let unit = members["unit"]?.stringValue, !words.hasNoSecret(unit) { kept["unit"] = nil }
        }
        kept["description"] = members["description"].map { $0.isNull ? .null : text }
        if let attributes = members["attributes"] {
            let allowed = (attributes.objectValue ?? JSONObject()).filter { attribute in
                attribute.value.stringValue.map { allowedAttributes[attribute.key]?.contains($0) ?? false } ?? false
            }
            kept["attributes"] = attributes.isNull ? .null : .object(JSONObject(allowed.map { ($0.key, $0.value) }))
        }
        return .object(kept)
    }

    // MARK: Words

    /// A model's name; the replacement where it is none, nil where it is no text.
    func model(_ value: JSONValue) -> JSONValue? {
        guard let words else { return value }
        if value.isNull { return value }
        guard let name = value.stringValue else { return nil }
        return words.isModel(name) ? value : text
    }

    /// A word of a provider's; the replacement for other texts, nil where it is no text.
    func word(_ value: JSONValue?) -> JSONValue? {
        guard let words, let value, !value.isNull else { return value }
        guard let word = value.stringValue else { return nil }
        return words.isWord(word) ? value : text
    }

    /// A flag or a number; nil where it is none of them.
    func scalar(_ value: JSONValue) -> JSONValue? {
        guard words != nil else { return value }
        switch value {
        case .null, .bool, .int, .unsigned, .double: return value
        case .string, .array, .object: return nil
        }
    }

    /// The name of a tool or a function: stays, whatever it is, if it is a text.
    func name(_ value: JSONValue?) -> JSONValue? {
        guard let words, let value else { return value }
        guard let name = value.stringValue else { return nil }
        return words.hasNoSecret(name) ? value : text
    }

    // MARK: Profiles

    /// The members of a profile that are no payload of a model call.
    func profile(_ profile: JSONObject) -> JSONObject {
        var kept = JSONObject()
        kept["model_name"] = profile["model_name"].flatMap(model)
        for key in ["subtype", "tool_call_id"] { kept[key] = profile[key]?.nonNull.map { _ in text } }
        kept["tool_result_annotation"] = profile["tool_result_annotation"]?.nonNull.map { _ in [:] }
        return kept
    }
}
