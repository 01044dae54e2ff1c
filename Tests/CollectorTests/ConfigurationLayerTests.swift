import Collector
import Foundation
import Middleware
import Testing

@Suite("Layers of the configuration")
struct ConfigurationLayerTests {
    private static func profiles(_ priorities: Int...) -> String {
        "[[components]]\nkind = \"pii_redaction\"\n"
            + priorities.map {
                "[[components.config.profiles]]\npriority = \($0)\nbuiltin = { action = \"hash\", target_paths = [\"/a\"] }\n"
            }.joined()
    }

    private static let broken = profiles(5).replacing("hash", with: "x")

    /// Writes the texts as `0.toml`, `1.toml`, … of a directory.
    private static func withFiles<Result>(_ texts: [String], _ body: (String, [String]) throws -> Result) throws
        -> Result
    {
        let directory = FileManager.default.temporaryDirectory.appending(path: "layers-\(UUID())").path()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let files = texts.indices.map { "\(directory)/\($0).toml" }
        for (file, text) in zip(files, texts) { try text.write(toFile: file, atomically: true, encoding: .utf8) }
        return try body(directory, files)
    }

    private static func read(_ texts: [String]) throws -> (CollectorConfiguration, [Diagnostic]) {
        try withFiles(texts) { try ConfigurationReader.read(files: $1, environment: [:]) }
    }

    @Test("profiles of layers add up, the higher ones first")
    func profilesAddUp() throws {
        let (configuration, diagnostics) = try Self.read([Self.profiles(5), Self.profiles(7, 8), Self.profiles(9)])
        #expect(diagnostics.isEmpty)
        #expect(configuration.middleware.piiRedaction?.profiles.map(\.priority) == [9, 7, 8, 5])
        let explanation = try ConfigurationExplanation(configuration)
        #expect(explanation.components.map(\.layers) == [[1, 2, 3]])
        #expect(explanation.files.count == 3)
        // Lower priorities first, wherever they are from.
        let profiles = explanation.chain.filter { $0.component == "pii_redaction" }
        #expect(profiles.map(\.priority) == [5, 7, 8, 9])
        #expect(profiles.map(\.layer) == [1, 2, 2, 3])
        #expect(
            profiles.map(\.file) == [
                explanation.files[0], explanation.files[1], explanation.files[1], explanation.files[2],
            ])
        // As the files have them: each profile is found where it was written.
        #expect(profiles.map(\.field) == [0, 0, 1, 0].map { "components[0].config.profiles[\($0)]" })
        #expect(explanation.chain.first?.name == "credential_headers")
    }

    @Test("a policy is known by its components and what they name, not by how it is laid out")
    func fingerprint() throws {
        func of(_ texts: String...) throws -> String { try Self.read(texts).0.policyFingerprint }
        let metadata = "[[components]]\nkind = \"metadata\"\nconfig.values = { a = 1 }\n"
        let known = try of(Self.profiles(5, 7))
        #expect(known.count == 16 && known.allSatisfy(\.isHexDigit))
        #expect(try of(Self.profiles(7), Self.profiles(5)) == of(Self.profiles(5, 7)))
        #expect(try of(Self.profiles(5, 7) + metadata) == of("# Ours\n" + metadata + Self.profiles(5, 7)))
        let others = [
            try of(Self.profiles(7, 5)), try of(Self.profiles(5)), try of(Self.profiles(5, 7) + metadata),
            try of("[collector]\ncompatibility = \"strict\"\n" + Self.profiles(5, 7)),
        ]
        #expect(Set(others).count == 4 && !others.contains(known))
        // What is no policy, and what is off.
        #expect(try of("[collector]\npartitions = 3\n[[components]]\nkind = \"observability\"\n") == "none")
        #expect(
            try of(Self.profiles(5).replacing("\"pii_redaction\"", with: "\"pii_redaction\"\nenabled = false"))
                == "none")
        try Self.withFiles([]) { directory, _ in
            let prices = "\(directory)/prices.json"
            let naming =
                "[[components]]\nkind = \"pricing\"\nconfig.sources = [{ type = \"file\", path = \"\(prices)\" }]\n"
            func catalog(_ price: Double) -> String {
                """
                {"version": 1, "entries": [{"provider": "openai", "model_id": "m", "pricing_as_of": "2026-01-01",
                "pricing_source": "list",
                "prompt_cache": {"read_accounting": "included_in_prompt_tokens"}, "rates": {"input_per_million": \(price),
                "output_per_million": 1}}]}
                """
            }
            try catalog(1).write(toFile: prices, atomically: true, encoding: .utf8)
            let cheap = try of(naming)
            try catalog(2).write(toFile: prices, atomically: true, encoding: .utf8)
            #expect(try of(naming) != cheap)
        }
    }

    @Test("a component that a file turns off is none of its layer; the last file decides whether one is on")
    func off() throws {
        let off = "[[components]]\nkind = \"pii_redaction\"\nenabled = false\n"
        // Off in the middle: the layer says nothing, and what is below stays on.
        #expect(try Self.read([Self.profiles(5), off, ""]).0.middleware.piiRedaction != nil)
        #expect(try Self.read([Self.profiles(5), off]).0.middleware.piiRedaction == nil)
        let (configuration, diagnostics) = try Self.read([off, Self.profiles(5)])
        #expect(configuration.middleware.piiRedaction?.profiles.map(\.priority) == [5])
        #expect(diagnostics.map(\.code) == ["plugin.component_reenabled"])
    }

    @Test("tables merge, the higher value wins, other lists are replaced, and components keep their order")
    func merging() throws {
        let lower = """
            [nats]
            urls = ["nats://a:1", "nats://b:1"]
            [collector]
            partitions = 3
            replicas = 3
            [[components]]
            kind = "observability"
            [components.config.atif]
            enabled = true
            agent_name = "lower"
            agent_version = "1"
            tool_definitions = [{ a = 1 }]
            storage = [{ type = "files", directory = "a" }]
            [components.config.opentelemetry]
            enabled = true
            traces = [{ type = "full", endpoint = "http://127.0.0.1:4318" }]
            logs = { enabled = true, endpoints = [{ endpoint = "http://127.0.0.1:1" }] }
            metrics = { enabled = true, endpoints = [{ endpoint = "http://127.0.0.1:1" }] }
            """
        let higher = """
            [nats]
            urls = ["nats://c:1"]
            [collector]
            replicas = 5
            [[components]]
            kind = "pricing"
            [[components]]
            kind = "observability"
            config.version = 4
            [components.config.atif]
            agent_name = "higher"
            tool_definitions = [{ b = 1 }, { c = 1 }]
            storage = [{ type = "files", directory = "b" }]
            [components.config.opentelemetry]
            traces = [{ type = "gen_ai", endpoint = "http://127.0.0.1:9" }]
            logs = { endpoints = [{ endpoint = "http://127.0.0.1:2" }] }
            metrics = { enabled = false, endpoints = [] }
            """
        let (configuration, _) = try Self.read([lower, higher])
        #expect(configuration.nats.urls == ["nats://c:1"])
        #expect(configuration.streams.partitions == 3)
        #expect(configuration.streams.replicas == 5)
        let trajectories = try #require(configuration.trajectories)
        #expect(trajectories.agentName == "higher")
        #expect(trajectories.agentVersion == "1")
        #expect(trajectories.toolDefinitions?.count == 2)
        #expect(configuration.stores.map(\.address) == ["b", "a"])
        #expect(configuration.endpoints.map(\.name) == ["gen_ai", "full"])
        #expect(configuration.logEndpoints.map(\.url) == ["http://127.0.0.1:2/v1/logs", "http://127.0.0.1:1/v1/logs"])
        #expect(configuration.metricEndpoints.isEmpty)
        #expect(try ConfigurationExplanation(configuration).components.map(\.kind) == ["observability", "pricing"])
    }

    @Test("version and policies of the last file that are the default let those below show through")
    func defaults() throws {
        let lower = "[policy]\nunknown_field = \"ignore\"\n"
        let higher = "version = 1\nx = 1\n[policy]\nunknown_field = \"warn\"\n"
        #expect(try Self.read([lower, higher]).1.isEmpty)
        #expect(throws: ConfigurationError.self) {
            try Self.read([lower, "x = 1\n[policy]\nunknown_field = \"error\"\n"])
        }
    }

    @Test(
        "a mistake names the file that it is in",
        arguments: [
            (["version = 2", ""], 0, "plugin.unsupported_config_version"),
            (["", "version = 2"], 1, "plugin.unsupported_config_version"),
            (
                ["[[components]]\nkind = \"pricing\"\n[[components]]\nkind = \"pricing\"", ""], 0,
                "plugin.duplicate_component"
            ),
            (
                ["", "[[components]]\nkind = \"pricing\"\n[[components]]\nkind = \"pricing\""], 1,
                "plugin.duplicate_component"
            ),
            (["components = 5", "[[components]]\nkind = \"pricing\"\n"], 0, "configuration.unsupported_value"),
            (["[collector]\npartitions = 0", "[collector]\nreplicas = 3"], 0, "configuration.unsupported_value"),
            (["[collector]\nreplicas = 3", "[collector]\npartitions = 0"], 1, "configuration.unsupported_value"),
            ([profiles(5), profiles(7).replacing("hash", with: "x")], 1, "pii_redaction.unsupported_value"),
            ([profiles(5).replacing("hash", with: "x"), profiles(7)], 0, "pii_redaction.unsupported_value"),
        ])
    func mistakes(texts: [String], layer: Int, code: String) throws {
        try Self.withFiles(texts) { _, files in
            do throws(ConfigurationError) {
                _ = try ConfigurationReader.read(files: files, environment: [:])
                Issue.record("no error")
            } catch {
                let errors = error.diagnostics.filter { $0.level == .error }
                #expect(errors.map(\.code) == [code])
                #expect(errors.map(\.file) == [files[layer]])
                #expect(error.description.contains("\(layer).toml: "))
            }
        }
    }

    @Test(
        "a mistake is called by its place in its file, whatever is in front of it in the document that the layers make",
        arguments: [
            // The mistake is in the lower layer, whose profile is behind those of the higher one.
            ([broken, profiles(7, 8)], 0, "components[0].config.profiles[0].builtin.action"),
            // The component is the second one of its own file, and the first one of the document.
            (
                [profiles(7), "[[components]]\nkind = \"pricing\"\n" + broken], 1,
                "components[1].config.profiles[0].builtin.action"
            ),
            (
                ["[[components]]\nkind = \"pricing\"\n" + broken, profiles(7)], 0,
                "components[1].config.profiles[0].builtin.action"
            ),
            // One that is off in the middle is none of its layer and counts all the same.
            (
                [profiles(7), "[[components]]\nkind = \"metadata\"\nenabled = false\n" + broken, ""], 1,
                "components[1].config.profiles[0].builtin.action"
            ),
        ])
    func places(texts: [String], layer: Int, field: String) throws {
        try Self.withFiles(texts) { _, files in
            do throws(ConfigurationError) {
                _ = try ConfigurationReader.read(files: files, environment: [:])
                Issue.record("no error")
            } catch {
                let errors = error.diagnostics.filter { $0.level == .error }
                #expect(errors.map(\.field) == [field])
                #expect(errors.map(\.file) == [files[layer]])
            }
        }
    }

    @Test("a file that is named twice counts once, in the higher place")
    func twice() throws {
        try Self.withFiles([Self.profiles(5), Self.profiles(7)]) { directory, files in
            let link = "\(directory)/link.toml"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: files[0])
            let (configuration, _) = try ConfigurationReader.read(files: files + [link], environment: [:])
            #expect(configuration.middleware.piiRedaction?.profiles.map(\.priority) == [5, 7])
            #expect(try ConfigurationExplanation(configuration).files == [files[1], link])
        }
    }

    @Test("NeMo Relay's own files are layers below when they are asked for, and only then")
    func inherited() throws {
        try Self.withFiles([Self.profiles(7)]) { directory, files in
            let environment = ["XDG_CONFIG_HOME": directory]
            let alone = try ConfigurationReader.read(files: files, inherits: true, environment: environment)
            #expect(alone.1.isEmpty)
            let own = "\(directory)/nemo-relay/plugins.toml"
            try FileManager.default.createDirectory(
                atPath: "\(directory)/nemo-relay", withIntermediateDirectories: true)
            try Self.profiles(5).write(toFile: own, atomically: true, encoding: .utf8)
            let (configuration, diagnostics) = try ConfigurationReader.read(
                files: files, inherits: true, environment: environment)
            #expect(configuration.middleware.piiRedaction?.profiles.map(\.priority) == [7, 5])
            #expect(diagnostics.map(\.code) == ["plugin.configuration_inherited"])
            #expect(diagnostics.map(\.field) == [own])
            let without = try ConfigurationReader.read(files: files, environment: environment)
            #expect(without.0.middleware.piiRedaction?.profiles.map(\.priority) == [7])
            let only = try ConfigurationReader.read(files: [], inherits: true, environment: environment)
            #expect(only.0.middleware.piiRedaction?.profiles.map(\.priority) == [5])
        }
    }

    @Test("keys are told apart by their bytes, also those that are the same text in two Unicode forms")
    func unicodeForms() throws {
        let (one, other) = ("caf\u{E9}", "cafe\u{301}")
        let text = "[policy]\nunknown_field = \"error\"\n[collector]\n\"\(one)\" = 1\n\"\(other)\" = { a = 1 }\n"
        for texts in [[text], ["", text], [text, text]] {
            let error = #expect(throws: ConfigurationError.self) { try Self.read(texts) }
            let fields = error?.diagnostics.map(\.field) ?? []
            #expect(fields.map { Array($0.utf8) }.contains(Array("collector.\(one)".utf8)), "\(fields)")
            #expect(fields.map { Array($0.utf8) }.contains(Array("collector.\(other)".utf8)), "\(fields)")
        }
    }

    /// A directory with NeMo Relay's own file below it, for the user and nobody else.
    private static func withOwn(_ text: String, _ body: (_ directory: String, _ own: String) throws -> Void) throws {
        try withFiles([]) { directory, _ in
            try FileManager.default.createDirectory(
                atPath: "\(directory)/nemo-relay", withIntermediateDirectories: true)
            let own = "\(directory)/nemo-relay/plugins.toml"
            try text.write(toFile: own, atomically: true, encoding: .utf8)
            try body(directory, own)
        }
    }

    private static func inherited(_ directory: String) throws -> CollectorConfiguration {
        try ConfigurationSource(files: [], inherits: true, environment: ["XDG_CONFIG_HOME": directory]).read().0
    }

    @Test("an own file of NeMo Relay that leads nowhere is none that is absent")
    func dangling() throws {
        try Self.withOwn(Self.profiles(5)) { directory, own in
            #expect(try Self.inherited(directory).middleware.piiRedaction != nil)
            let elsewhere = "\(directory)/elsewhere"
            try FileManager.default.moveItem(atPath: own, toPath: elsewhere)
            #expect(try Self.inherited(directory).middleware.piiRedaction == nil)
            try FileManager.default.createSymbolicLink(atPath: own, withDestinationPath: elsewhere)
            #expect(try Self.inherited(directory).middleware.piiRedaction != nil)
            try FileManager.default.removeItem(atPath: elsewhere)
            let dangling = #expect(throws: ConfigurationError.self) { try Self.inherited(directory) }
            #expect(dangling?.diagnostics.map(\.code) == ["configuration.unreadable"])
            // It leads to itself, and then to its folder's.
            try FileManager.default.removeItem(atPath: own)
            try FileManager.default.createSymbolicLink(atPath: own, withDestinationPath: own)
            #expect(throws: ConfigurationError.self) { try Self.inherited(directory) }
            try FileManager.default.removeItem(atPath: "\(directory)/nemo-relay")
            #expect(try Self.inherited(directory).middleware.piiRedaction == nil)
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory)/nemo-relay", withDestinationPath: "\(directory)/unmounted")
            let folder = #expect(throws: ConfigurationError.self) { try Self.inherited(directory) }
            #expect(folder?.diagnostics.map(\.code) == ["configuration.unreadable"])
            try FileManager.default.removeItem(atPath: "\(directory)/nemo-relay")
            try "no folder".write(toFile: "\(directory)/nemo-relay", atomically: true, encoding: .utf8)
            #expect(throws: ConfigurationError.self) { try Self.inherited(directory) }
        }
    }

    @Test("a file that was named and has nothing in it is one that is being saved; a comment is something")
    func blank() throws {
        for (text, isRead) in [("", false), (" \n\t\n", false), ("# nothing yet\n", true)] {
            try Self.withFiles([Self.profiles(5), text]) { _, files in
                let source = ConfigurationSource(files: files, inherits: false, environment: [:])
                do throws(ConfigurationError) {
                    let configuration = try source.read().0
                    #expect(isRead && configuration.middleware.piiRedaction != nil)
                } catch {
                    #expect(!isRead && error.diagnostics.map(\.code) == ["configuration.malformed"])
                    #expect(error.diagnostics.map(\.field) == [files[1]])
                }
            }
        }
        // A layer that nobody has named says nothing then.
        try Self.withOwn("") { directory, _ in
            let configuration = try Self.inherited(directory)
            #expect(configuration.middleware.piiRedaction == nil)
        }
    }

    @Test("integers may be written as TOML writes them")
    func integers() throws {
        for number in ["0x10", "0o20", "0b10000", "1_6", "+16"] {
            #expect(try Self.read(["[collector]\npartitions = \(number)\n"]).0.streams.partitions == 16)
        }
    }
}
