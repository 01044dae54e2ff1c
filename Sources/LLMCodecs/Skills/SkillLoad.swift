package import ATOF

/// A skill that a tool call loads, as the mark `skill.load` tells it (`codecs-and-pricing.md` 7). That the call was made
/// does not say that it succeeded.
package struct SkillLoad: Sendable, Hashable {
    /// How the call was recognised.
    package enum Source: String, Sendable, Hashable {
        case skillTool = "skill_tool"
        case structuredRead = "structured_read"
        case shellRead = "shell_read"
    }

    package let skill: String
    package let source: Source

    /// The skills that a call loads, each once, in the order in which they are found.
    ///
    /// - Parameters:
    ///   - arguments: as they were before anybody sanitised them.
    ///   - metadata: of the tool's scope. What it says about skill loads is believed.
    package static func of(tool name: String, arguments: JSONValue?, metadata: JSONValue?) -> [SkillLoad] {
        if metadata?["nemo_relay.skill_load_handled"] == true { return [] }
        let found: [SkillLoad]
        if let stated = metadata?["nemo_relay.skill_loads"]?.arrayValue {
            found = stated.compactMap(SkillLoad.init(stated:))
        } else {
            let (skills, source) = detected(name, arguments ?? .null)
            found = skills.map { SkillLoad(skill: $0, source: source) }
        }
        var names: Set<String> = []
        return found.filter { names.insert($0.skill).inserted }
    }

    /// Whether calls of a tool of this name can load skills: of all others the arguments need not be looked at.
    package static func concerns(tool name: String) -> Bool {
        let identifier = name.identifier
        return identifier == "skill" || identifier == "skillview" || StructuredRead.isReader(name)
            || ShellRead.tools.contains(identifier)
    }

    /// The mark's data.
    package var data: JSONValue { ["skill_name": .string(skill)] }

    /// The mark's metadata. Paths and commands are not part of it.
    package func metadata(tool name: String) -> JSONValue {
        ["skill_load_source": .string(source.rawValue), "tool_name": .string(name)]
    }

    private init(skill: String, source: Source) {
        self.skill = skill
        self.source = source
    }

    private init?(stated: JSONValue) {
        guard let skill = stated["skill_name"]?.stringValue?.trimmed, !skill.isEmpty,
            let source = stated["source"]?.stringValue.flatMap(Source.init(rawValue:))
        else { return nil }
        self.init(skill: skill, source: source)
    }

    /// The first kind of tool that the name fits decides, whatever it finds.
    private static func detected(_ name: String, _ arguments: JSONValue) -> (skills: [String], source: Source) {
        let identifier = name.identifier
        if identifier == "skill" || identifier == "skillview" {
            let texts = strings(of: ["skill", "skillname", "name"], in: arguments)
            return (texts.map(\.trimmed).filter { !$0.isEmpty }, .skillTool)
        }
        if StructuredRead.isReader(name) {
            return (StructuredRead.paths(arguments).compactMap(SkillPath.skill), .structuredRead)
        }
        if ShellRead.tools.contains(identifier) {
            let commands = strings(of: ["command", "cmd"], in: arguments)
            let paths = commands.flatMap { ShellRead.paths($0, tool: identifier) }
            return (paths.compactMap(SkillPath.skill), .shellRead)
        }
        return ([], .shellRead)
    }

    private static func strings(of identifiers: Set<String>, in arguments: JSONValue) -> [String] {
        var texts: [String] = []
        ArgumentMembers.visit(arguments) { key, value in
            if identifiers.contains(key), let text = value.stringValue { texts.append(text) }
        }
        return texts
    }
}
