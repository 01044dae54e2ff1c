/// What an agent asks before a model call: what has been learned about calls like this one (`adaptive.md` 13a).
package struct HintQuestion: Sendable, Hashable {
    /// The name of the outermost agent.
    package var agent: String
    /// The names of the open scopes of agents and functions, the outermost first.
    package var scopePath: [String]
    /// Of the model call.
    package var callName: String
    /// Counted from 1 for each name within the innermost agent's scope.
    package var callIndex: UInt32
    /// What was set by hand on the open scopes, the most of it.
    package var manualSensitivity: UInt32?
    /// The root of the run.
    package var run: EventUUID?

    package init(
        agent: String, scopePath: [String], callName: String, callIndex: UInt32, manualSensitivity: UInt32? = nil,
        run: EventUUID? = nil
    ) {
        self.agent = agent
        self.scopePath = scopePath
        self.callName = callName
        self.callIndex = callIndex
        self.manualSensitivity = manualSensitivity
        self.run = run
    }

    /// More scopes than that are no question.
    package static let maximumDepth = 64
    /// The most bytes of a name.
    package static let maximumName = GuardQuestion.maximumText

    package var prefixID: String { AgentHints.prefixID(agent: agent, depth: scopePath.count) }

    // MARK: JSON

    /// - Throws: `GuardMessageError` that names the field.
    package init(json bytes: [UInt8]) throws(GuardMessageError) {
        let object = try GuardMessageError.object(bytes)
        guard let callName = try GuardMessageError.text(object, "call_name") else {
            throw GuardMessageError("call_name", "is missing")
        }
        self.callName = callName
        agent = try GuardMessageError.text(object, "agent") ?? AgentHints.unnamedAgent
        scopePath = []
        if let path = object["scope_path"]?.nonNull {
            guard let names = path.arrayValue, names.count <= HintQuestion.maximumDepth else {
                throw GuardMessageError(
                    "scope_path", "must be an array of at most \(HintQuestion.maximumDepth) names")
            }
            for (index, name) in names.enumerated() {
                let key = "scope_path[\(index)]"
                guard let text = name.stringValue else { throw GuardMessageError(key, "must be a string") }
                scopePath.append(try GuardMessageError.checked(text, key) ?? "")
            }
        }
        callIndex = try HintQuestion.number(object, "call_index") ?? 1
        manualSensitivity = try HintQuestion.number(object, "manual_latency_sensitivity")
        run = try GuardMessageError.uuid(object, "run_id")
    }

    private static func number(_ object: JSONObject, _ key: String) throws(GuardMessageError) -> UInt32? {
        guard let value = object[key]?.nonNull else { return nil }
        guard let number = value.int64Value.flatMap({ UInt32(exactly: $0) }) else {
            throw GuardMessageError(key, "must be an integer from 0 to \(UInt32.max)")
        }
        return number
    }

    package var json: [UInt8] {
        var object = JSONObject([
            ("agent", .string(agent)), ("scope_path", .array(scopePath.map { .string($0) })),
            ("call_name", .string(callName)), ("call_index", .int(Int64(callIndex))),
        ])
        if let manualSensitivity { object["manual_latency_sensitivity"] = .int(Int64(manualSensitivity)) }
        if let run { object["run_id"] = .string("\(run)") }
        return Array(JSONValue.object(object).compactText.utf8)
    }
}
