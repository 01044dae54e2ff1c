import ATOF
import Collector
import Foundation
import HTTPTestServer
import NATSTestCluster
import NATSTransport
import Stages
import Testing

@Suite("Mistakes on the command line", .timeLimit(.minutes(1)))
struct CommandTests {
    struct Mistake: Sendable, CustomTestStringConvertible {
        let name: String
        let arguments: [String]
        /// Written to `skein.toml` in the working directory.
        var toml = ""
        let code: Int32
        /// What the sentence on standard error must name.
        let names: [String]

        var testDescription: String { name }
    }

    private static let nobody = "nats://127.0.0.1:1"
    private static let file = ["--config", "skein.toml"]

    private static let mistakes: [Mistake] = [
        .init(name: "unknown command", arguments: ["colect"], code: 2, names: ["colect", "--help"]),
        .init(name: "unknown flag", arguments: ["collect", "--confg", "x"], code: 2, names: ["--confg", "--help"]),
        .init(name: "missing argument", arguments: ["publish"], code: 2, names: ["files"]),
        .init(
            name: "missing events", arguments: ["publish", "none.jsonl", "--nats", nobody], code: 2,
            names: ["none.jsonl", "does not exist"]),
        .init(
            name: "missing configuration", arguments: ["collect", "--config", "none.toml"], code: 2,
            names: ["none.toml", "does not exist"]),
        .init(
            name: "malformed TOML", arguments: ["collect"] + file, toml: "[nats\n", code: 2,
            names: ["skein.toml:1", "not valid TOML"]),
        .init(
            name: "unknown key", arguments: ["collect"] + file,
            toml: "[policy]\nunknown_field = \"error\"\n[nats]\nurl = 1\n", code: 2,
            names: ["nats.url", "urls"]),
        .init(
            name: "secret that is not set", arguments: ["collect"] + file, toml: "[nats]\ntoken_env = \"NONE_OF_IT\"\n",
            code: 2,
            names: ["nats.token_env", "NONE_OF_IT"]),
        .init(name: "no URL", arguments: ["collect", "--nats", "localhost"], code: 2, names: ["--nats", "nats://"]),
        .init(
            name: "a URL with credentials", arguments: ["collect", "--nats", "nats://user:hunter2@127.0.0.1:1"],
            code: 2,
            names: ["--nats holds credentials", "password_env"]),
        .init(
            name: "a URL with a port that is none", arguments: ["lag", "--nats", "nats://127.0.0.1:70000"], code: 2,
            names: ["--nats", "1 to 65535"]),
        .init(
            name: "nobody listens", arguments: ["collect", "--nats", nobody], code: 1, names: [nobody, "check the URL"]),
        .init(
            name: "publish to nobody", arguments: ["publish", "skein.toml", "--nats", nobody], code: 1, names: [nobody]),
        .init(name: "tail of nobody", arguments: ["tail", "trajectories", "--nats", nobody], code: 1, names: [nobody]),
        .init(
            name: "tenant with capitals", arguments: ["publish", "skein.toml", "--tenant", "ACME"], code: 2,
            names: ["--tenant", "ACME", "a-z"]),
        .init(
            name: "tenant of tail", arguments: ["tail", "processed", "--tenant", "a.b"], code: 2,
            names: ["--tenant", "a.b"]),
        .init(
            name: "tenant of up", arguments: ["up", "--port", "0", "--publish", "skein.toml", "--tenant", ""], code: 2,
            names: ["--tenant"]),
        .init(
            name: "an empty interval of letters", arguments: ["dead", "list", "--since", "1m", "--until", "1h"],
            code: 2,
            names: ["--since", "--until", "skein dead list --help"]),
        .init(
            name: "a negative limit", arguments: ["dead", "list", "--limit", "-3"], code: 2,
            names: ["at least 1, is -3"]),
        .init(
            name: "a negative timeout", arguments: ["tail", "--timeout", "-1"], code: 2, names: ["--timeout", "-1"]),
        .init(
            name: "a negative partition", arguments: ["tasks", "reset", "--stage", "process", "--partition", "-1"],
            code: 2, names: ["--partition", "-1"]),
        .init(name: "port out of range", arguments: ["up", "--port", "65536"], code: 2, names: ["--port", "65536"]),
        .init(
            name: "document's extra that is no table", arguments: ["collect"] + file,
            toml: """
                [[components]]
                kind = "observability"
                config = { version = 4, atif = { enabled = true, extra = 5 } }
                """, code: 2, names: ["atif.extra", "table"]),
        .init(
            name: "tools that are no tables", arguments: ["collect"] + file,
            toml: """
                [[components]]
                kind = "observability"
                config = { version = 4, atif = { enabled = true, tool_definitions = ["x"] } }
                """, code: 2, names: ["atif.tool_definitions", "tables"]),
        .init(name: "exit without publish", arguments: ["up", "--exit"], code: 2, names: ["--exit", "--publish"]),
        .init(
            name: "data that is a file", arguments: ["up", "--port", "0", "--data", "skein.toml"], code: 2,
            names: ["--data", "skein.toml"]),
        .init(
            name: "time of dead", arguments: ["dead", "list", "--since", "yesterday"], code: 2,
            names: ["--since", "yesterday", "2h"]),
        .init(name: "purge of what", arguments: ["dead", "purge", "--yes"], code: 2, names: ["--all", "--tenant"]),
        .init(
            name: "purge of all and some", arguments: ["dead", "purge", "--all", "--tenant", "a"], code: 2,
            names: ["--all"]),
        .init(
            name: "dead of nobody", arguments: ["dead", "list", "--nats", nobody], code: 1, names: [nobody]),
        .init(
            name: "tenant of ledger", arguments: ["ledger", "--tenant", "A"], code: 2, names: ["--tenant", "A"]),
        .init(
            name: "all stages at once", arguments: ["tasks", "reset", "--stage", "*", "--yes"], code: 2,
            names: ["--stage", "*"]),
        .init(name: "stage of lag", arguments: ["lag", "--stage", "a.b"], code: 2, names: ["--stage", "a.b"]),
        .init(
            name: "ledger of nobody", arguments: ["ledger", "--nats", nobody], code: 1, names: [nobody]),
        .init(
            name: "events without a size", arguments: ["publish", "skein.toml", "--max-event-bytes", "0"], code: 2,
            names: ["--max-event-bytes"]),
        .init(
            name: "OTLP without scheme", arguments: ["up", "--port", "0", "--otlp", "localhost:4318"], code: 2,
            names: ["--otlp", "http://"]),
        .init(name: "codec of what", arguments: ["codec", "request"], code: 2, names: ["codec request", "--batch"]),
        .init(
            name: "codec of what else", arguments: ["codec", "body", "skein.toml"], code: 2,
            names: ["body", "request", "response"]),
        .init(
            name: "batch with a file", arguments: ["codec", "request", "skein.toml", "--batch"], code: 2,
            names: ["--batch"]),
        .init(
            name: "surface that is none", arguments: ["codec", "request", "skein.toml", "--surface", "gemini"], code: 2,
            names: ["--surface", "gemini", "gemini_generate_content"]),
        .init(
            name: "missing body", arguments: ["codec", "response", "none.json"], code: 2,
            names: ["none.json", "does not exist"]),
        .init(
            name: "body that is not JSON", arguments: ["codec", "request", "skein.toml"], toml: "[x\n", code: 2,
            names: ["skein.toml", "not JSON"]),
        .init(
            name: "body of no surface", arguments: ["codec", "response", "skein.toml"], toml: "{}", code: 1,
            names: ["skein.toml", "--surface", "openai_chat"]),
        .init(
            name: "body that breaks a rule", arguments: ["codec", "request", "skein.toml"], toml: "{\"messages\":5}",
            code: 1, names: ["skein.toml", "openai_chat", "messages"]),
    ]

    /// One line that says what is wrong, and no trace of our own code.
    private static func expect(_ outcome: SkeinProcess.Outcome, _ code: Int32, _ names: [String]) {
        #expect(outcome.code == code, "\(outcome.errors)")
        let lines = outcome.errors.split(separator: "\n").filter { !$0.contains(" info skein") }
        #expect(lines.count == 1, "\(outcome.errors)")
        for name in names { #expect(outcome.errors.contains(name), "\(name) in: \(outcome.errors)") }
        #expect(outcome.output.isEmpty)
    }

    @Test("end with one sentence that names it, and 2 for usage or 1 for the world", arguments: mistakes)
    func mistake(mistake: Mistake) async throws {
        try await withDirectory { directory in
            try mistake.toml.write(toFile: "\(directory)/skein.toml", atomically: true, encoding: .utf8)
            Self.expect(
                try await SkeinProcess.run(mistake.arguments, directory: directory), mistake.code, mistake.names)
        }
    }

    @Test("a refused credential names the server and no secret")
    func credential() async throws {
        let users = "authorization { users = [ { user: a, password: right } ] }"
        try await withDirectory { directory in
            var options = NATSServerProcess.Options(
                executable: try NATSTestServer.executable(), dataDirectory: "\(directory)/nats")
            options.configuration = users
            let server = try await NATSServerProcess.start(options)
            try "[nats]\nurls = [\"\(server.url)\"]\nuser = \"a\"\npassword_env = \"SKEIN_PASSWORD\"\n".write(
                toFile: "\(directory)/skein.toml", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(
                ["collect"] + Self.file, environment: ["SKEIN_PASSWORD": "hunter2"], directory: directory)
            await server.kill()
            Self.expect(outcome, 1, [server.url, "refused the credentials"])
            #expect(!outcome.errors.contains("hunter2"))
        }
    }

    @Test("lines that are no events are counted, the end of the file is none", arguments: ["junk\n", "junk"])
    func refusedLines(text: String) async throws {
        try await withDirectory { directory in
            try text.write(toFile: "\(directory)/run.jsonl", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(["project", "run.jsonl", "--as", "atof"], directory: directory)
            #expect(outcome.code == 1)
            #expect(outcome.errors.contains("1 of 1 lines"))
        }
    }

    @Test("a file that begins with a byte order mark loses no line")
    func byteOrderMark() async throws {
        try await withDirectory { directory in
            let lines = Run(number: 1, tenant: "acme", calls: 2).lines
            try ("\u{FEFF}" + lines.joined(separator: "\n")).write(
                toFile: "\(directory)/run.jsonl", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(["project", "run.jsonl", "--as", "atof"], directory: directory)
            #expect(outcome.code == 0 && outcome.errors.isEmpty)
            #expect(outcome.output.split(separator: "\n").count == lines.count)
            try "\u{FEFF}{\"messages\":[]}".write(
                toFile: "\(directory)/body.json", atomically: true, encoding: .utf8)
            let codec = try await SkeinProcess.run(["codec", "request", "body.json"], directory: directory)
            #expect(codec.code == 0 && codec.output.contains("openai_chat"))
        }
    }

    @Test("codec answers each line of a batch that has an id, also one that it cannot read")
    func batchErrors() throws {
        for line in [#"{"id":"a","kind":"request","surface":"none","input":{}}"#, #"{"id":"a","kind":"none"}"#] {
            let answer = try JSONParser.parse(try OfflineCodec.answer(line: Array(line.utf8)))
            #expect(answer["id"] == "a" && answer["error"]?["kind"] == "invalid_argument")
        }
        #expect(throws: CollectorError.self) { try OfflineCodec.answer(line: Array(#"{"kind":"none"}"#.utf8)) }
    }

    @Test("project says what is not in its result", arguments: ["full", "trajectories", "logs"])
    func leftOut(output: String) async throws {
        try await withDirectory { directory in
            func scope(_ category: String, _ number: Int) -> String {
                """
                {"kind":"scope","scope_category":"\(category)","atof_version":"0.1","category":"agent","name":"a","attributes":[],\
                "uuid":"01900000-0000-7000-8000-00000000000\(number)","parent_uuid":null,"timestamp":"2026-01-01T00:00:0\(number)Z"}
                """
            }
            let mark = """
                {"kind":"mark","atof_version":"0.1","uuid":"01900000-0000-7000-8000-000000000009","parent_uuid":null,\
                "timestamp":"2026-01-01T00:00:00Z","name":"m\\nn","metadata":{"nemo_relay.log.severity":"loud"}}
                """
            try [scope("start", 1), scope("start", 1), scope("end", 2), mark].joined(separator: "\n").write(
                toFile: "\(directory)/run.jsonl", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(["project", "run.jsonl", "--as", output], directory: directory)
            #expect(outcome.code == 0)
            let told =
                switch output {
                case "full": ["1 scopes did not end", "1 ends are of scopes that are not open"]
                case "trajectories": ["1 trajectories are unfinished", "2 events are below no agent"]
                default: ["The log mark \"m\\nn\" was dropped"]
                }
            for words in ["1 events repeat others"] + told { #expect(outcome.errors.contains("warning: \(words)")) }
            #expect(outcome.errors.split(separator: "\n").count == told.count + 1)
        }
    }

    @Test("metric marks that are not valid are counted in one warning")
    func invalidMetricMarks() async throws {
        try await withDirectory { directory in
            let mark = """
                {"kind":"mark","atof_version":"0.1","uuid":"01900000-0000-7000-8000-00000000000%","parent_uuid":null,\
                "timestamp":"2026-01-01T00:00:00Z","name":"m","data":[5],\
                "data_schema":{"name":"nemo.relay.metric_measurements","version":"1"}}
                """
            try ["1", "2"].map { mark.replacingOccurrences(of: "%", with: $0) }.joined(separator: "\n").write(
                toFile: "\(directory)/run.jsonl", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(["project", "run.jsonl", "--as", "metrics"], directory: directory)
            #expect(outcome.code == 0 && outcome.output == "[]\n")
            #expect(outcome.errors.contains("warning: The metric mark \"m\" was dropped as a whole: "))
            #expect(outcome.errors.hasSuffix(" [otel.metric_mark_invalid, 2 times]\n"))
        }
    }

    @Test("up that ends says that something was refused, and fails")
    func refusedAtTheEnd() async throws {
        let backend = HTTPTestServer { _ in .init(422) }
        defer { backend.stop() }
        try await withDirectory { directory in
            try Run(number: 1, tenant: "acme", calls: 2).lines.joined(separator: "\n").write(
                toFile: "\(directory)/run.jsonl", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(
                [
                    "up", "--data", "\(directory)/data", "--port", "0", "--otlp", "http://127.0.0.1:\(backend.port)",
                    "--publish", "run.jsonl", "--exit",
                ], directory: directory)
            #expect(outcome.code == 1)
            #expect(outcome.errors.contains("dead letters") && outcome.errors.contains("skein dead list"))
        }
    }

    @Test("up that ends says what did not end")
    func openAtTheEnd() async throws {
        try await withDirectory { directory in
            let lines = Run(number: 1, tenant: "acme", calls: 2).lines
            try lines.dropLast().joined(separator: "\n").write(
                toFile: "\(directory)/run.jsonl", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(
                ["up", "--data", "\(directory)/data", "--port", "0", "--publish", "run.jsonl", "--exit"],
                directory: directory)
            #expect(outcome.code == 0)
            #expect(outcome.errors.contains("warning: scopes that did not end: 1;"))
            #expect(outcome.errors.contains("warning: trajectories that wait for their agent's end: 1;"))
        }
    }

    @Test("a command without its subcommand is a mistake, with the help", arguments: ["dead", "guard", "tasks", ""])
    func noSubcommand(command: String) async throws {
        try await withDirectory { directory in
            let outcome = try await SkeinProcess.run(command.isEmpty ? [] : [command], directory: directory)
            #expect(outcome.code == 2)
            #expect(outcome.output.isEmpty)
            #expect(outcome.errors.contains("SUBCOMMANDS:"))
            #expect(outcome.errors.contains("error: the command is missing: one of "))
            let help = try await SkeinProcess.run([command, "--help"].filter { !$0.isEmpty }, directory: directory)
            #expect(help.code == 0 && help.output.contains("SUBCOMMANDS:"))
        }
    }

    @Test("credentials in a URL are refused and shown nowhere", arguments: ["lag", "collect", "validate"])
    func credentialsInURL(command: String) async throws {
        try await withDirectory { directory in
            try "[http]\nenabled = false\n".write(
                toFile: "\(directory)/skein.toml", atomically: true, encoding: .utf8)
            let outcome = try await SkeinProcess.run(
                [command] + Self.file, environment: ["SKEIN_NATS_URL": "tls://user:hunter2@127.0.0.1:1"],
                directory: directory)
            #expect(outcome.code == 2)
            let told = outcome.errors + outcome.output
            #expect(told.contains("SKEIN_NATS_URL") && told.contains("holds credentials"))
            #expect(!told.contains("hunter2"))
        }
    }

    @Test("a log level that is none is named by every command")
    func logLevel() async throws {
        try await withDirectory { directory in
            let outcome = try await SkeinProcess.run(
                ["lag"], environment: ["SKEIN_LOG_LEVEL": "loud"], directory: directory)
            Self.expect(outcome, 2, ["SKEIN_LOG_LEVEL", "loud", "info"])
        }
    }

    @Test("tail --timeout ends with 1 when nothing comes, and letters that no filter matches are told from none at all")
    func nothingThere() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let server = ["--nats", rig.server.url]
            let tail = try await SkeinProcess.run(
                ["tail", "processed", "--timeout", "0.2"] + server, directory: rig.directory)
            Self.expect(tail, 1, ["nothing came for 0.2 seconds"])
            let none = try await SkeinProcess.run(["dead", "list"] + server, directory: rig.directory)
            #expect(none.code == 0 && none.errors == "0 letters\n")
            let writer = DeadLetterWriter(rig.jetStream, Metrics(), LogLines().logger)
            try await writer.write(
                DeadLetter(
                    stage: "process", tenant: "acme", reason: "too_large", message: "a sentence",
                    stream: SkeinSubjects.eventsStream, subject: "skein.v1.events.0.acme.key",
                    position: EventReference(sequence: 1, index: 0), contentType: SkeinHeaders.protobuf, body: []))
            let unmatched = try await SkeinProcess.run(
                ["dead", "list", "--reason", "bogus"] + server, directory: rig.directory)
            #expect(unmatched.code == 0 && unmatched.errors.hasPrefix("no letter matches"))
        }
    }

    @Test("a data directory in use is named: two servers on one store would ruin it")
    func directoryInUse() async throws {
        try await withDirectory { directory in
            let arguments = ["up", "--data", "\(directory)/data", "--port", "0"]
            try "[http]\nenabled = false\n".write(toFile: "\(directory)/skein.toml", atomically: true, encoding: .utf8)
            let first = try SkeinProcess(arguments + Self.file, directory: directory)
            try await eventually("the first runs") { first.errors.contains("Ctrl-C ends it") }
            Self.expect(
                try await SkeinProcess.run(arguments + Self.file, directory: directory), 1,
                ["--data", "in use by another"])
            #expect(try await first.stop().code == 0)
            // The lock has gone with the process.
            let next = try SkeinProcess(arguments + Self.file, directory: directory)
            try await eventually("the next runs") { next.errors.contains("Ctrl-C ends it") }
            #expect(try await next.stop().code == 0)
        }
    }

    @Test("a port in use is named: of the embedded server, and of the probes")
    func portInUse() async throws {
        let occupant = HTTPTestServer { _ in .init(200) }
        defer { occupant.stop() }
        let port = occupant.port
        try await withDirectory { directory in
            let up = try await SkeinProcess.run(["up", "--port", "\(port)"], directory: directory)
            Self.expect(up, 1, ["\(port)", "in use", "--port"])
        }
        try await Rig.with { rig in
            let file = try rig.file(
                "skein.toml", "[nats]\nurls = [\"\(rig.server.url)\"]\n[http]\nlisten = \"127.0.0.1:\(port)\"\n")
            let outcome = try await SkeinProcess.run(["collect", "--config", file], directory: rig.directory)
            #expect(outcome.code == 1, "\(outcome.errors)")
            #expect(outcome.errors.contains("http.listen: 127.0.0.1:\(port)"))
        }
    }

    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "skein-command-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await body(directory)
    }
}
