import ATOF
import Testing
import Trajectories

@Suite("File name template")
struct FileNameTemplateTests {
    private static let metadata: JSONValue = [
        "team": "blue", "deep": ["path": "a/b"], "empty": .null, "number": 5, "blank": "", "list": [1],
    ]

    @Test(
        "puts the id and texts of metadata in their places",
        arguments: [
            (FileNameTemplate.standard, "nemo-relay-atif-ID.json"), ("{session_id}/{session_id}", "ID/ID"),
            ("{metadata.team}/{session_id}", "blue/ID"), ("{metadata.deep.path}-{session_id}", "a-b-ID"),
            ("{metadata.none:-x/y}{session_id}", "x/yID"), ("{metadata.empty:-e}{session_id}", "eID"),
            ("{other}{session_id}{", "{other}ID{"), ("{session_idx}{session_id}", "{session_idx}ID"),
            ("{tenant}/{session_id}", "t-1/ID"), ("{tenants}{session_id}", "{tenants}ID"),
        ])
    func rendering(template: String, name: String) throws {
        #expect(try FileNameTemplate(template).render(sessionID: "ID", tenant: "t-1", metadata: Self.metadata) == name)
    }

    /// As seen in nemo-relay 0.10.4.
    @Test(
        "cleans texts of metadata that would lead elsewhere",
        arguments: [
            ("a.b", "a.b"), ("a..b", "a-b"), (".", "-"), ("...", "-"), (".a", ".a"), ("a--b", "a--b"), ("a/ /b", "a-b"),
            ("  ", "-"), ("a/.hidden", "a-.hidden"), ("üü", "-"), ("./a", ".-a"), ("a/.", "a-."), ("a-/b", "a--b"),
            ("A:B", "A-B"), ("a\\b", "a-b"), ("x/../y", "x-y"), ("../..", "-"), ("a\n", "a-"), ("~", "~"),
            ("{session_id}", "-session_id-"), ("..a", "-a"), ("/", "-"), ("-/-", "---"), ("é.txt", "-.txt"),
        ])
    func cleaning(text: String, expected: String) throws {
        #expect(
            try FileNameTemplate("{metadata.x}/{session_id}").render(
                sessionID: "ID", tenant: "t", metadata: ["x": .string(text)]) == "\(expected)/ID")
    }

    @Test(
        "refuses templates that are unsafe or ambiguous",
        arguments: [
            ("/{session_id}", .unsafePath), ("a/../{session_id}", .unsafePath), ("./{session_id}", .unsafePath),
            ("C:{session_id}", .unsafePath), ("a\\{session_id}", .unsafePath), ("x.json", .noSessionID),
            ("{session_id", .unclosedPlaceholder), ("{session_id}{metadata.x", .unclosedPlaceholder),
            ("{metadata.}{session_id}", .invalidPath), ("{metadata.a..b}{session_id}", .invalidPath),
            ("{metadata.a b}{session_id}", .invalidPath), ("{metadata.a:-}{session_id}", .unsafeValue),
            ("{metadata.a:-../b}{session_id}", .unsafeValue), ("a\n{session_id}", .unsafePath),
        ] as [(String, FileNameError.Code)])
    func templates(template: String, code: FileNameError.Code) {
        let error = #expect(throws: FileNameError.self) { try FileNameTemplate(template) }
        #expect(error?.code == code)
    }

    @Test("refuses a name that is longer than a key of S3 may be")
    func long() throws {
        let text = String(repeating: "x", count: 1022)
        #expect(
            try FileNameTemplate(text + "{session_id}").render(sessionID: "ID", tenant: "t-1", metadata: nil).count
                == 1024)
        let error = #expect(throws: FileNameError.self) {
            try FileNameTemplate(text + "{session_id}").render(sessionID: "LONG", tenant: "t-1", metadata: nil)
        }
        #expect(error?.code == .tooLong)
    }

    @Test(
        "tells names that stay in their directory from those that do not",
        arguments: [
            ("a.json", true), ("a/b..c/é", true), ("", false), ("/a", false), ("a/../b", false), ("..", false),
            ("a\u{7F}", false), ("a\nb", false), ("a/.", false), ("./a", true),
        ])
    func relative(name: String, expected: Bool) { #expect(FileNameTemplate.isRelative(name) == expected) }

    @Test(
        "refuses metadata that gives no usable text",
        arguments: [
            ("{metadata.none}", .missingValue), ("{metadata.empty}", .missingValue),
            ("{metadata.team.x:-f}", .notAnObject),
            ("{metadata.list.x}", .notAnObject), ("{metadata.number:-f}", .notAString),
            ("{metadata.deep}", .notAString),
            ("{metadata.blank:-f}", .emptyValue),
        ] as [(String, FileNameError.Code)])
    func metadata(placeholder: String, code: FileNameError.Code) throws {
        let template = try FileNameTemplate("\(placeholder){session_id}")
        let error = #expect(throws: FileNameError.self) {
            try template.render(sessionID: "ID", tenant: "t-1", metadata: Self.metadata)
        }
        #expect(error?.code == code)
    }
}
