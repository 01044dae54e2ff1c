import ATOF
import Collector
import Foundation
import LLMCodecs
import Middleware
import Testing

@Suite("Configuration of pii_redaction")
struct PIIRedactionConfigurationTests {
    /// A document and what NeMo Relay 0.10.4 said about it; copies of the recorded ones.
    struct Recorded: Sendable, CustomTestStringConvertible {
        let name: String
        let file: String
        /// `level code field`; the field is relative to `config` and may be empty.
        let complaints: [String]
        let activates: Bool

        var testDescription: String { name }
    }

    private static let recorded: [Recorded] = {
        guard let folder = Bundle.module.resourceURL?.appending(path: "Configurations/invalid"),
            let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path())
        else { return [] }
        return names.sorted().compactMap { name in
            let file = folder.appending(path: "\(name)/expected-diagnostics.json")
            guard let bytes = FileManager.default.contents(atPath: file.path()),
                let expected = try? JSONParser.parse(Array(bytes)), let list = expected["diagnostics"]?.arrayValue
            else { return nil }
            return Recorded(
                name: name, file: folder.appending(path: "\(name)/config.toml").path(),
                complaints: list.map { diagnostic in
                    ["level", "code", "field"].map { diagnostic[$0]?.stringValue ?? "" }.joined(separator: " ")
                },
                activates: expected["activation"] == "ok")
        }
    }()

    @Test("finds all recorded documents")
    func count() { #expect(Self.recorded.count == 52) }

    @Test("complains as the reference does, and runs where it runs", arguments: recorded)
    func complaints(expected: Recorded) throws {
        let (configuration, diagnostics) = Self.read(file: expected.file)
        var rest = diagnostics
        for complaint in expected.complaints {
            let parts = complaint.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            let index = rest.firstIndex {
                $0.level.rawValue == parts[0] && $0.code == parts[1]
                    && (parts[2].isEmpty || $0.field == "components[0].config.\(parts[2])" || $0.field == parts[2])
            }
            if let index { rest.remove(at: index) } else { Issue.record("no \(complaint) in \(diagnostics)") }
        }
        // The reference names the first of several mistakes in one table; a second one of that kind may be told too.
        #expect(
            rest.allSatisfy { more in
                expected.complaints.contains { $0.hasPrefix("\(more.level.rawValue) \(more.code) ") }
            })
        #expect(Self.activates(configuration) == expected.activates)
        if expected.activates { #expect(configuration?.middleware.piiRedaction?.profiles.count == 1) }
    }

    private static func read(file: String) -> (CollectorConfiguration?, [Diagnostic]) {
        do throws(ConfigurationError) { return try ConfigurationReader.read(file: file, environment: [:]) } catch {
            return (nil, error.diagnostics)
        }
    }

    private static func activates(_ configuration: CollectorConfiguration?) -> Bool {
        guard let configuration else { return false }
        do throws(ConfigurationError) { try configuration.checkActivation() } catch { return false }
        return true
    }

    // MARK: What was asked of the reference beside the recorded documents

    struct Case: Sendable, CustomTestStringConvertible {
        let config: String
        let complaints: [String]
        var activates = false

        var testDescription: String { config }
    }

    private static let mask = "builtin = { action = \"mask\" }"
    private static let preset = "preset = \"trajectory_context\""
    private static let allowlist = "metric_string_attribute_allowlist"

    private static let table: [Case] = [
        .init(config: mask, complaints: [], activates: true),
        .init(config: "\(mask)\nenabled = true", complaints: ["warning unknown_field enabled"], activates: true),
        // What may be policy with a slip of the pen keeps a collector from running, unless the document says that it does not matter.
        .init(config: "\(mask)\n[[components.config.profile]]\n\(mask)", complaints: ["warning unknown_field profile"]),
        .init(
            config: "\(mask)\n[components.config.Profiles]\npriority = 1",
            complaints: ["warning unknown_field Profiles"]),
        .init(
            config: "builtin = { action = \"remove\", target_paths = [\"/a\"], target_path_glob = [\"/b/*\"] }",
            complaints: ["warning unknown_field builtin.target_path_glob"]),
        .init(
            config: "profiles = [{ \(mask), bultin = {} }]", complaints: ["warning unknown_field profiles[0].bultin"]),
        .init(
            config:
                "\(mask)\n[components.config.policy]\nunknown_field = \"warn\"\n[[components.config.profile]]\n\(mask)",
            complaints: ["warning unknown_field profile"], activates: true),
        .init(
            config: "\(mask)\npolicy = { unknown_field = \"ignore\" }\n[[components.config.profile]]\n\(mask)",
            complaints: [], activates: true),
        .init(config: "mode = \"local_model\"", complaints: []),
        .init(
            config: "mode = \"local_model\"\nlocal = { backend = \"x\", foo = 1 }",
            complaints: ["warning unknown_field local.foo"]),
        .init(
            config: "mode = \"local_model\"\nlocal = { max_latency_ms = \"a\", foo = 1 }",
            complaints: ["error invalid_plugin_config local.max_latency_ms"]),
        .init(
            config: "profiles = [{ mode = \"remote\", \(mask) }]",
            complaints: ["error unsupported_value profiles[0].mode", "error unsupported_value profiles[0].builtin"]),
        .init(
            config: "profiles = [{ local = { backend = \"x\" }, \(mask) }]",
            complaints: ["error unsupported_value profiles[0].local"]),
        .init(
            config: "profiles = [{ mode = \"local_model\", local = { backend = \"x\" }, \(mask) }]",
            complaints: ["error unsupported_value profiles[0].builtin"]),
        // A profile that is off is checked, but needs no model.
        .init(
            config: "profiles = [{ \(mask) }, { enabled = false, builtin = { action = \"redact\" } }]",
            complaints: ["error unsupported_value profiles[1].builtin.pattern"]),
        .init(
            config: "profiles = [{ \(mask) }, { enabled = false, mode = \"local_model\", local = {} }]", complaints: [],
            activates: true),
        .init(config: "profiles = [{ \(mask) }, { mode = \"local_model\", local = {} }]", complaints: []),
        .init(config: "profiles = {}", complaints: ["error invalid_plugin_config profiles"]),
        .init(
            config: "input = false\nprofiles = [{ \(mask) }]", complaints: ["error unsupported_value input"]),
        .init(config: "codec = \"x\"\nprofiles = [{ \(mask) }]", complaints: ["error unsupported_value codec"]),
        // A wrong type rejects the component, and nothing else is said.
        .init(config: "colour = 1\npriority = \"x\"\n\(mask)", complaints: ["error invalid_plugin_config priority"]),
        .init(config: "priority = 3000000000\n\(mask)", complaints: ["error invalid_plugin_config priority"]),
        .init(config: "priority = 1.5\n\(mask)", complaints: ["error invalid_plugin_config priority"]),
        .init(config: "version = \"1\"\n\(mask)", complaints: ["error invalid_plugin_config version"]),
        .init(config: "policy = 5\n\(mask)", complaints: ["error invalid_plugin_config policy"]),
        .init(
            config: "version = 2\npolicy = { unsupported_value = \"warn\" }\n\(mask)",
            complaints: ["warning unsupported_config_version version"]),
        .init(config: "codec = \"x\"\npolicy = { unsupported_value = \"ignore\" }\n\(mask)", complaints: []),
        .init(
            config: "builtin = { action = \"zz\", detector = \"yy\", target_paths = [\"q\"] }",
            complaints: [
                "error unsupported_value builtin.target_paths[0]", "error unsupported_value builtin.action",
                "error unsupported_value builtin.detector",
            ]),
        .init(
            config: "builtin = { target_path_globs = [\"/a~3/*\"] }",
            complaints: ["error unsupported_value builtin.target_path_globs[0]"]),
        .init(config: "builtin = { target_paths = [\"\"] }", complaints: [], activates: true),
        .init(config: "builtin = { action = \"redact\", pattern = \"\" }", complaints: [], activates: true),
        // The preset.
        .init(config: "builtin = { \(preset), replacement = \"x\" }", complaints: [], activates: true),
        .init(config: "builtin = { \(preset), \(allowlist) = {} }", complaints: [], activates: true),
        .init(
            config: "builtin = { preset = \"zz\", action = \"mask\" }",
            complaints: ["error unsupported_value builtin.preset", "error unsupported_value builtin.action"]),
        .init(
            config: "builtin = { \(preset), \(allowlist) = { a = [], b = [\"\"], c = [\"x\", \"x\"] } }",
            complaints: ["a", "b", "c"].map { "error unsupported_value builtin.\(allowlist).\($0)" }),
        .init(
            config: "builtin = { \(preset), \(allowlist) = { a = \"x\" } }",
            complaints: ["error invalid_plugin_config builtin.\(allowlist)"]),
    ]

    @Test("complains about each mistake with its code and key, and about nothing else", arguments: table)
    func complaints(expected: Case) {
        let (configuration, diagnostics) = Self.read(expected.config)
        #expect(
            diagnostics.map { "\($0.level.rawValue) \($0.code) \($0.field)" }.sorted()
                == expected.complaints.map { complaint in
                    let parts = complaint.split(separator: " ")
                    return "\(parts[0]) pii_redaction.\(parts[1]) components[0].config.\(parts[2])"
                }.sorted())
        #expect(Self.activates(configuration) == expected.activates)
    }

    private static func read(_ config: String, enabled: Bool = true) -> (CollectorConfiguration?, [Diagnostic]) {
        let toml =
            "[[components]]\nkind = \"pii_redaction\"\nenabled = \(enabled)\n[components.config]\n\(config)\n"
        do throws(ConfigurationError) {
            return try ConfigurationReader.read(text: toml, name: "test.toml", environment: [:])
        } catch {
            return (nil, error.diagnostics)
        }
    }

    @Test("keeps what was configured, with the reference's defaults")
    func settings() throws {
        let (configuration, diagnostics) = Self.read(
            """
            codec = "anthropic_messages"
            [[components.config.profiles]]
            enabled = false
            builtin = { action = "hash" }
            [[components.config.profiles]]
            priority = -5
            [components.config.profiles.builtin]
            action = "mask"
            detector = "credit_card"
            mask_char = "#"
            unmasked_prefix = 1
            unmasked_suffix = 4
            target_paths = ["/a~1b"]
            target_path_globs = ["/a/*"]
            [[components.config.profiles]]
            builtin = { action = "regex_replace", pattern = "a(b)", replacement = "$1" }
            """)
        #expect(diagnostics.isEmpty)
        var masked = BuiltinRedaction()
        masked.action = .mask
        masked.matcher = .detector(.creditCard)
        masked.maskCharacter = "#"
        (masked.unmaskedPrefix, masked.unmaskedSuffix) = (1, 4)
        (masked.targetPaths, masked.targetPathGlobs) = (["/a~1b"], ["/a/*"])
        var replaced = BuiltinRedaction()
        replaced.action = .regexReplace
        replaced.matcher = .pattern("a(b)")
        replaced.replacement = "$1"
        let redaction = try #require(configuration?.middleware.piiRedaction)
        #expect(redaction.codec == .anthropicMessages)
        #expect(redaction.profiles.map(\.builtin) == [masked, replaced])
        #expect(redaction.profiles.map(\.priority) == [-5, 100])
        #expect(redaction.profiles.map(\.index) == [1, 2])
    }

    @Test("one that is off is checked and has no effect")
    func off() throws {
        let (configuration, diagnostics) = Self.read("mode = \"local_model\"", enabled: false)
        #expect(diagnostics.isEmpty)
        #expect(Self.activates(configuration))
        #expect(configuration?.middleware == MiddlewareSettings())
    }

    // MARK: Kinds that are not known

    @Test(
        "an unknown kind keeps everything from running unless the document says that it does not matter",
        arguments: [
            ("kind = \"x\"", "", false), ("kind = \"x\"\nenabled = false", "", true),
            ("kind = \"resource_metrics\"", "", true),
            ("kind = \"x\"", "unknown_component = \"ignore\"", true),
        ])
    func unknownKinds(component: String, policy: String, activates: Bool) throws {
        let toml = "[policy]\n\(policy)\n[[components]]\n\(component)\n"
        let (configuration, diagnostics) = try ConfigurationReader.read(text: toml, name: "", environment: [:])
        #expect(diagnostics.map(\.code) == (policy.isEmpty ? ["plugin.unknown_component"] : []))
        #expect(Self.activates(configuration) == activates)
    }

    @Test(
        "a component that is no table is no component without settings",
        arguments: [
            "policy = 5", "[[components]]\nkind = \"pii_redaction\"\nconfig = 5", "[[components]]\nkind = 5",
            "components = 5", "[[components]]\nkind = \"pii_redaction\"\nenabled = \"no\"\n",
        ])
    func wrongTypes(toml: String) {
        #expect(throws: ConfigurationError.self) {
            try ConfigurationReader.read(text: toml, name: "", environment: [:])
        }
    }
}
