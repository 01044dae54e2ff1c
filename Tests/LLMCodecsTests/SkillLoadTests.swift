import ATOF
import LLMCodecs
import Testing

@Suite("Skill loads")
struct SkillLoadTests {
    @Test("are found as recorded", arguments: try Fixtures.named("skill-load"))
    func recorded(_ fixture: Fixtures.Fixture) throws {
        let name = try #require(fixture.input["tool_name"]?.stringValue)
        let loads = SkillLoad.of(tool: name, arguments: fixture.input["arguments"], metadata: fixture.input["metadata"])
        let marks = loads.map { load -> JSONValue in
            [
                "data": load.data, "metadata": load.metadata(tool: name), "parent_is_tool": true,
                "timestamp_equals_start": true,
            ]
        }
        #expect(.array(marks) == fixture.expected?["marks"])
    }

    private static func skills(_ tool: String, _ arguments: JSONValue) -> [String] {
        SkillLoad.of(tool: tool, arguments: arguments, metadata: nil).map(\.skill)
    }

    private static let path = "/s/review/SKILL.md"

    @Test(
        "are read from commands that print whole files and do nothing else",
        arguments: [
            ("cat \(path) /s/b/skill.MD /s/review/SKILL.md", ["review", "b"]), ("cat -- \(path)", ["review"]),
            ("cat \(path) # and | more", ["review"]), ("cat a#b \(path)", ["review"]), ("cat 'a|b' \(path)", []),
            ("cat \"\(path)\"", ["review"]), ("cat '\(path)", []), ("", []), ("   ", []), ("cat", []),
            ("cat \(path) | head", []), ("cat \(path); ls", []), ("cat `x` \(path)", []), ("cat $(x) \(path)", []),
            (#"cat C:\s\review\SKILL.md"#, ["review"]), (#"cat 'C:\s\review\SKILL.md'"#, ["review"]),
            (#"cat "C:\s\review\SKILL.md""#, ["review"]), (#"cat SKILL.md"#, []), ("cat\r\(path)", []),
            ("bat -P \(path)", ["review"]), ("bat -p --plain \(path)", []), ("bat -p -- \(path)", ["review"]),
            ("head \(path)", []), ("/usr/bin/cat \(path)", ["review"]), (#"C:\bin\cat.exe \#(path)"#, ["review"]),
            ("Get-Content -LiteralPath:\(path)", ["review"]), ("gc \(path)", []),
            ("Get-Content -path=\(path) -ReadCount 0", ["review"]), ("Get-Content -Tail 5 \(path)", []),
            ("get-content \(path) -Encoding", []), ("get-content -Encoding:utf8 \(path)", ["review"]),
            ("sh -c 'cat \(path)'", ["review"]), ("sh -c 'cat \(path)' x", []), ("bash -c 'cat \(path)'", ["review"]),
            ("zsh -lc 'bat -p \(path)'", ["review"]), ("bash -lc 'bash -lc \"cat \(path)\"'", []),
            ("fish -c 'cat \(path)'", ["review"]), ("fish --command='cat \(path)' x", []),
            ("pwsh -c 'Get-Content \(path)'", []), ("pwsh -Command 'cat \(path)'", []),
            ("pwsh -command Get-Content -Raw \(path)", ["review"]), ("bash -c 'cat \(path) && x'", []),
        ] as [(String, [String])])
    func commands(command: String, expected: [String]) {
        #expect(SkillLoadTests.skills("run_command", ["command": .string(command)]) == expected)
    }

    @Test("PowerShell's own cat is another command, but a shell below it has one")
    func powershell() {
        let path = SkillLoadTests.path
        #expect(SkillLoadTests.skills("PowerShell", ["command": .string("cat \(path)")]) == [])
        #expect(SkillLoadTests.skills("PowerShell", ["command": .string("bash -c 'cat \(path)'")]) == ["review"])
    }

    @Test(
        "are read from paths",
        arguments: [
            ("/s/a/SKILL.md", ["a"]), ("a/skill.md", ["a"]), ("a//SKILL.md", ["a"]), (#"\\h\a\SKILL.md"#, ["a"]),
            ("/s/../SKILL.md", []), (" /s/a/SKILL.md", []), ("/s/a/SKILL.md/", []), ("\"/s/a/SKILL.md", []),
            ("/s/a/SKILL.md'", []), ("/s/a/SKILL.mdx", []), ("C:/SKILL.md", []), ("", []), ("/s/ä/SKILL.md", ["ä"]),
        ] as [(String, [String])])
    func paths(path: String, expected: [String]) {
        #expect(SkillLoadTests.skills("readFile", ["path": .string(path)]) == expected)
    }

    @Test(
        "are not seen when a read has limits, wherever they are",
        arguments: [
            ["offset": 0.0], ["offset": 1], ["options": ["line_start": 1]], ["a": [["Range": []]]], ["tail": 0],
        ] as [JSONValue])
    func limits(limit: JSONValue) throws {
        var arguments = try #require(limit.objectValue)
        #expect(SkillLoadTests.skills("read", .object(arguments)).isEmpty)
        arguments["path"] = .string(SkillLoadTests.path)
        #expect(SkillLoadTests.skills("read", .object(arguments)).isEmpty)
    }

    @Test(
        "are looked for by the name of the tool",
        arguments: [
            ("fs.readTextFile", ["review"]), ("mcpReadFile", []), ("Read", ["review"]),
            ("read_file_content", ["review"]),
            ("reader", []), ("", []), ("file-read", ["review"]), ("my_file_read_all", []),
        ] as [(String, [String])])
    func tools(name: String, expected: [String]) {
        #expect(SkillLoadTests.skills(name, ["nested": [["file": .string(SkillLoadTests.path)]]]) == expected)
    }

    @Test("what is nested is visited from its end, arrays included")
    func order() {
        #expect(
            SkillLoadTests.skills("skill", ["x": [["skill": "a"], ["skill": "b"]], "name": "c"]) == ["c", "b", "a"])
    }

    @Test("an empty list in the metadata is an answer")
    func stated() {
        let metadata: JSONValue = ["nemo_relay.skill_loads": []]
        #expect(SkillLoad.of(tool: "skill", arguments: ["skill": "a"], metadata: metadata).isEmpty)
    }
}
