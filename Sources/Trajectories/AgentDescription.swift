package import ATOF

/// The `agent` block of every document, as configured (`atif-trajectories.md` 4.2).
package struct AgentDescription: Sendable, Hashable {
    package var name: String
    package var version: String
    /// Without one, dispatcher documents say `unknown` and manual ones leave it out.
    package var modelName: String?
    package var toolDefinitions: [JSONValue]?
    package var extra: JSONValue?

    package init(
        name: String = "NeMo Relay", version: String, modelName: String? = nil, toolDefinitions: [JSONValue]? = nil,
        extra: JSONValue? = nil
    ) {
        self.name = name
        self.version = version
        self.modelName = modelName
        self.toolDefinitions = toolDefinitions
        self.extra = extra
    }

    func json(defaultModel: String?) -> JSONValue {
        var object = JSONObject([("name", .string(name)), ("version", .string(version))])
        object["model_name"] = (modelName ?? defaultModel).map { .string($0) }
        object["tool_definitions"] = toolDefinitions.map { .array($0) }
        object["extra"] = extra
        return .object(object)
    }
}
