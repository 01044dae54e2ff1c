internal import ATOF

/// The types of ATIF v1.7 (`atif-trajectories.md` 9.1).
struct DocumentSchema: Sendable {
    indirect enum Kind: Sendable {
        case string, integer, number, boolean
        /// An object with whatever members.
        case free
        case word([String])
        case list(Kind)
        case either([Kind])
        case structure(DocumentSchema)
        case trajectory
    }

    let required: [String]
    let members: [String: Kind]

    init(required: [String] = [], _ members: [String: Kind]) {
        self.required = required
        self.members = members
    }

    /// Checks the types, and that nothing is there that the schema does not have. An optional member may be null.
    func check(_ value: JSONValue, at path: String, _ findings: inout [DocumentFinding]) {
        guard let object = value.objectValue else {
            findings.append(DocumentFinding(path, "must be an object, is \(DocumentSchema.type(of: value))"))
            return
        }
        for key in required where object[key]?.nonNull == nil {
            findings.append(DocumentFinding(DocumentSchema.path(path, key), "is missing"))
        }
        for member in object {
            let path = DocumentSchema.path(path, member.key)
            guard let kind = members[member.key] else {
                findings.append(DocumentFinding(path, "is no member of the schema"))
                continue
            }
            if !member.value.isNull { DocumentSchema.check(member.value, kind, at: path, &findings) }
        }
    }

    private static func check(
        _ value: JSONValue, _ kind: Kind, at path: String, _ findings: inout [DocumentFinding]
    ) {
        switch kind {
        case .list(let element):
            guard let elements = value.arrayValue else { break }
            for (index, value) in elements.enumerated() { check(value, element, at: "\(path).\(index)", &findings) }
            return
        case .structure(let schema): return schema.check(value, at: path, &findings)
        case .trajectory: return trajectory.check(value, at: path, &findings)
        case .either(let kinds):
            // An array says which of them is meant.
            for case .list(let element) in kinds where value.arrayValue != nil {
                return check(value, .list(element), at: path, &findings)
            }
            if kinds.contains(where: { matches(value, $0) }) { return }
        case .string, .integer, .number, .boolean, .free, .word:
            if matches(value, kind) { return }
        }
        findings.append(DocumentFinding(path, "must be \(name(of: kind)), is \(type(of: value))"))
    }

    private static func matches(_ value: JSONValue, _ kind: Kind) -> Bool {
        switch kind {
        case .string: value.stringValue != nil
        case .integer: value.int64Value != nil || value.uint64Value != nil
        case .number: value.numberValue != nil
        case .boolean: value.boolValue != nil
        case .free, .structure, .trajectory: value.objectValue != nil
        case .word(let words): value.stringValue.map(words.contains) == true
        case .list: value.arrayValue != nil
        case .either(let kinds): kinds.contains { matches(value, $0) }
        }
    }

    private static func name(of kind: Kind) -> String {
        switch kind {
        case .string: "a string"
        case .integer: "an integer"
        case .number: "a number"
        case .boolean: "true or false"
        case .free, .structure, .trajectory: "an object"
        case .word(let words):
            words.count > 4 ? "\(words[0]) to \(words[words.count - 1])" : words.joined(separator: ", ")
        case .list: "an array"
        case .either(let kinds): kinds.map(name).joined(separator: " or ")
        }
    }

    private static func type(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .unsigned: "an integer"
        case .double: "a number with a fraction"
        case .string(let text): text.utf8.count <= 40 ? "\"\(text)\"" : "a long string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    static func path(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}

extension DocumentSchema {
    static let trajectory = DocumentSchema(
        required: ["schema_version", "agent", "steps"],
        [
            "schema_version": .word((0...7).map { "ATIF-v1.\($0)" }), "session_id": .string, "trajectory_id": .string,
            "agent": .structure(agent), "steps": .list(.structure(step)), "notes": .string,
            "final_metrics": .structure(finalMetrics), "continued_trajectory_ref": .string, "extra": .free,
            "subagent_trajectories": .list(.trajectory),
        ])

    private static let agent = DocumentSchema(
        required: ["name", "version"],
        [
            "name": .string, "version": .string, "model_name": .string, "extra": .free,
            "tool_definitions": .list(.free),
        ])

    private static let step = DocumentSchema(
        required: ["step_id", "source", "message"],
        [
            "step_id": .integer, "source": .word(["system", "user", "agent"]), "message": content,
            "timestamp": .string, "model_name": .string, "reasoning_content": .string,
            "reasoning_effort": .either([.string, .number]), "tool_calls": .list(.structure(call)),
            "metrics": .structure(metrics), "observation": .structure(observation), "is_copied_context": .boolean,
            "llm_call_count": .integer, "extra": .free,
        ])

    private static let content: Kind = .either([.string, .list(.structure(part))])
    private static let part = DocumentSchema(
        required: ["type"], ["type": .word(["text", "image"]), "text": .string, "source": .structure(image)])
    private static let image = DocumentSchema(
        required: ["media_type", "path"],
        ["media_type": .word(["image/jpeg", "image/png", "image/gif", "image/webp"]), "path": .string])

    private static let call = DocumentSchema(
        required: ["tool_call_id", "function_name", "arguments"],
        ["tool_call_id": .string, "function_name": .string, "arguments": .free, "extra": .free])

    private static let observation = DocumentSchema(required: ["results"], ["results": .list(.structure(result))])
    private static let result = DocumentSchema([
        "source_call_id": .string, "content": content, "extra": .free,
        "subagent_trajectory_ref": .list(.structure(reference)),
    ])
    private static let reference = DocumentSchema([
        "trajectory_id": .string, "trajectory_path": .string, "session_id": .string, "extra": .free,
    ])

    private static let metrics = DocumentSchema([
        "prompt_tokens": .integer, "completion_tokens": .integer, "cached_tokens": .integer, "cost_usd": .number,
        "logprobs": .list(.number), "prompt_token_ids": .list(.integer), "completion_token_ids": .list(.integer),
        "extra": .free,
    ])
    private static let finalMetrics = DocumentSchema([
        "total_prompt_tokens": .integer, "total_completion_tokens": .integer, "total_cached_tokens": .integer,
        "total_cost_usd": .number, "total_steps": .integer, "extra": .free,
    ])
}
