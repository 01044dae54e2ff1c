internal import ATOF
internal import LLMCodecs

enum SkillProperties {
    /// Each skill is named once, and by something.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1).map(Array.init)
        guard let first = lines.first else { return }
        let arguments = lines.count > 1 ? lines[1].withUnsafeBufferPointer { JSONPolicy.value(of: $0) } : .null
        let name = String(decoding: first, as: UTF8.self)
        for metadata in [nil, arguments] {
            let loads = SkillLoad.of(tool: name, arguments: arguments, metadata: metadata)
            try FuzzFailure.unless(loads.allSatisfy { !$0.skill.isEmpty }, "a skill without a name")
            try FuzzFailure.unless(Set(loads.map(\.skill)).count == loads.count, "a skill twice")
            for load in loads { try JSONProperties.check(load.data) }
        }
    }

    /// The tool call of a fixture, or of an event.
    static func seed(of line: [UInt8]) -> [UInt8]? {
        guard let object = try? JSONParser.parse(line) else { return nil }
        let isTool = object["category"] == "tool" && object["scope_category"] == "start"
        guard let name = object["input"]?["tool_name"]?.stringValue ?? (isTool ? object["name"]?.stringValue : nil),
            let arguments = object["input"]?["arguments"] ?? object["data"]
        else { return nil }
        return Array("\(name)\n\(arguments.compactText)".utf8)
    }
}
