import ATOF
import Collector
import Foundation
import Testing

/// Documents with one mistake each, made by chance but the same in every run.
@Suite("Configurations that are wrong", .timeLimit(.minutes(3)))
struct InvalidConfigurationTests {
    /// What may stand at a key, so that the generator knows what may not.
    enum Shape: Sendable {
        case text, flag, list, table
        /// An integer of 32 bits, and one that may be larger.
        case integer, size
        /// A text of a fixed set.
        case word
        case pattern
        case pointers
        /// An integer of at least 1.
        case positive
    }

    /// A component that is right, and where it can be made wrong.
    struct Specimen: Sendable {
        let kind: String
        let config: JSONValue
        /// Paths of keys below `config`; numbers are places in lists.
        let keys: [(path: [String], shape: Shape)]
        /// Keys that must not stand beside those that are there, with a value that is right by itself.
        let conflicts: [(path: [String], value: JSONValue)]
    }

    private static let profile = ["profiles", "0"]
    private static let trace = ["opentelemetry", "traces", "0"]

    private static let specimens: [Specimen] = [
        Specimen(
            kind: "pii_redaction",
            config: [
                "version": 1, "codec": "openai_chat",
                "profiles": [
                    ["priority": 5, "builtin": ["action": "redact", "pattern": "a+", "target_paths": ["/a"]]]
                ],
            ],
            keys: [
                (["version"], .integer), (["codec"], .word), (["profiles"], .list), (profile, .table),
                (profile + ["enabled"], .flag), (profile + ["mode"], .word), (profile + ["priority"], .integer),
                (profile + ["builtin"], .table), (profile + ["builtin", "action"], .word),
                (profile + ["builtin", "pattern"], .pattern), (profile + ["builtin", "target_paths"], .pointers),
                (profile + ["builtin", "target_path_globs"], .pointers), (profile + ["builtin", "replacement"], .text),
                (profile + ["builtin", "mask_char"], .text), (profile + ["builtin", "unmasked_prefix"], .size),
                (profile + ["builtin", "preset"], .word),
                (profile + ["builtin", "metric_string_attribute_allowlist"], .table), (["policy"], .table),
                (["policy", "unknown_field"], .word),
            ],
            conflicts: [
                (["mode"], "builtin"), (["input"], true), (["priority"], 100),
                (["builtin"], ["action": "hash"]), (profile + ["builtin", "detector"], "email"),
                (profile + ["builtin", "preset"], "trajectory_context"),
                (profile + ["builtin", "custom_mark_payload_policy"], "preserve"),
            ]),
        Specimen(
            kind: "pii_redaction",
            config: ["builtin": ["action": "mask", "detector": "email", "mask_char": "*"], "mark": true],
            keys: [
                (["mode"], .word), (["input"], .flag), (["output"], .flag), (["mark"], .flag), (["tool_input"], .flag),
                (["priority"], .integer), (["builtin"], .table), (["builtin", "detector"], .word),
                (["builtin", "unmasked_suffix"], .size),
            ],
            conflicts: [
                (["builtin", "pattern"], "a"), (["builtin", "mask_char"], ""), (["local"], ["backend": "x"]),
                (["mode"], "local_model"),
            ]),
        Specimen(
            kind: "guardrails",
            config: [
                "rules": [
                    ["name": "no-shell", "tools": ["deny": ["sh*"]], "actions": ["alert", "drop_payload"]],
                    ["name": "calls", "budget": ["measure": "calls", "limit": 100], "actions": ["alert"]],
                ]
            ],
            keys: [
                (["version"], .integer), (["rules"], .list), (["rules", "0"], .table), (["rules", "0", "name"], .text),
                (["rules", "0", "enabled"], .flag), (["rules", "0", "priority"], .integer),
                (["rules", "0", "tools"], .table), (["rules", "0", "tools", "deny"], .list),
                (["rules", "0", "actions"], .list), (["rules", "0", "names"], .list),
                (["rules", "0", "reason"], .text),
                (["rules", "1", "budget"], .table), (["rules", "1", "budget", "measure"], .word),
                (["rules", "1", "budget", "per"], .word), (["rules", "1", "budget", "window_seconds"], .positive),
            ],
            conflicts: [
                (["rules", "0", "loop"], ["repeats": 5]), (["rules", "1", "name"], "no-shell"),
                (["rules", "1", "actions"], ["redact"]), (["rules", "1", "budget", "per"], "tenant"),
                (["rules", "0", "categories"], ["llm"]),
            ]),
        Specimen(
            kind: "metadata",
            config: ["version": 1, "values": ["site": "a", "n": 1], "facts": ["by": "collector"]],
            keys: [
                (["version"], .integer), (["priority"], .integer), (["values"], .table), (["facts"], .table),
            ],
            conflicts: [
                (["values", "a b"], 1), (["values", "site"], ["x": 1]), (["facts", "a b"], "version"),
                (["facts", "by"], "weather"),
            ]),
        Specimen(
            kind: "workers",
            config: [
                "workers": [
                    ["name": "w", "surfaces": ["mark"], "deadline_millis": 100, "on_failure": ["mark": "open"]]
                ]
            ],
            keys: [
                (["version"], .integer), (["workers"], .list), (["workers", "0"], .table),
                (["workers", "0", "name"], .text), (["workers", "0", "surfaces"], .list),
                (["workers", "0", "priority"], .integer), (["workers", "0", "deadline_millis"], .positive),
                (["workers", "0", "max_in_flight"], .positive), (["workers", "0", "on_conflict"], .word),
                (["workers", "0", "tenants"], .list), (["workers", "0", "on_failure"], .table),
            ],
            conflicts: [
                (["workers", "0", "surfaces"], ["mark", "mark"]), (["workers", "0", "surfaces"], []),
                (["workers", "0", "on_failure"], ["llm_request": "open"]),
                (["workers", "0", "name"], "nemo_guardrails"),
            ]),
        Specimen(
            kind: "nemo_guardrails",
            config: [
                "mode": "remote", "codec": "openai_chat",
                "remote": ["endpoint": "http://127.0.0.1:8000", "config_id": "a"],
            ],
            keys: [
                (["version"], .integer), (["mode"], .word), (["input"], .flag), (["output"], .flag),
                (["tool_output"], .flag), (["codec"], .word), (["priority"], .integer), (["remote"], .table),
                (["remote", "endpoint"], .text), (["remote", "config_ids"], .list), (["remote", "headers"], .table),
                (["request_defaults"], .table), (["request_defaults", "context"], .table),
                (["max_in_flight"], .positive), (["on_failure"], .word),
            ],
            conflicts: [
                (["remote", "config_ids"], ["b"]), (["config_path"], "/x"), (["tool_input"], true), (["mode"], "local"),
                (["request_defaults", "thread_id"], "short"),
            ]),
        Specimen(
            kind: "pricing", config: ["sources": [["type": "inline", "catalog": ["version": 1, "entries": []]]]],
            keys: [
                (["sources"], .list), (["sources", "0"], .table), (["sources", "0", "type"], .word),
                (["sources", "0", "catalog"], .table), (["sources", "0", "catalog", "version"], .positive),
                (["sources", "0", "catalog", "entries"], .list),
            ],
            conflicts: [(["sources", "0", "path"], "/none"), (["sources", "0", "type"], "file")]),
        Specimen(
            kind: "observability",
            config: [
                "version": 4, "atif": ["enabled": true],
                "opentelemetry": [
                    "enabled": true, "traces": [["type": "full", "endpoint": "http://127.0.0.1:4318", "name": "a"]],
                ],
            ],
            keys: [
                (["atif"], .table), (["atif", "enabled"], .flag), (["atif", "agent_name"], .text),
                (["opentelemetry"], .table), (["opentelemetry", "enabled"], .flag),
                (["opentelemetry", "traces"], .list),
                (trace, .table), (trace + ["type"], .word), (trace + ["endpoint"], .word), (trace + ["name"], .text),
                (trace + ["compression"], .word), (trace + ["max_queue_bytes"], .positive),
                (trace + ["headers"], .table), (trace + ["mark_projection"], .word),
                (trace + ["promote_metadata_prefixes"], .list),
            ],
            conflicts: [
                (["opentelemetry", "endpoints"], []), (trace + ["transport"], "grpc"), (trace + ["ca_file"], "/none"),
            ]),
    ]

    /// A wrong document, and the last part of the key that somebody has to mend.
    struct Mistake: Sendable, CustomTestStringConvertible {
        let number: Int
        let toml: String
        let key: String

        var testDescription: String { "\(number): \(key)" }
    }

    private static let mistakes: [Mistake] = {
        var random = SeededRandom(state: 0x5EED)
        return (0..<200).map { mistake($0, &random) }
    }()

    // MARK: Generator

    private static func mistake(_ number: Int, _ random: inout SeededRandom) -> Mistake {
        let specimen = specimens[number % specimens.count]
        let document = { (config: JSONValue, more: String) in
            "\(more)\n[[components]]\nkind = \"\(specimen.kind)\"\nconfig = \(text(config))\n"
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0:
            let word = "unknown_\(Int.random(in: 0..<1000, using: &random))"
            let tables = specimen.keys.filter { $0.shape == .table }.map(\.path)
            // Those of others take any key.
            let free = ["headers", "metric_string_attribute_allowlist", "values", "facts", "context"]
            let open = tables.filter { !free.contains($0.last ?? "") }
            let path =
                (open.filter { get($0, in: specimen.config) != nil }.randomElement(using: &random) ?? []) + [word]
            return Mistake(
                number: number, toml: document(set(path, 1, in: specimen.config), "policy.unknown_field = \"error\""),
                key: word)
        case 1:
            let host: [(String, String)] = [
                ("version = 2\n" + document(specimen.config, ""), "version"),
                (document(specimen.config, "") + document(specimen.config, ""), "kind"),
                (document(specimen.config, "") + "[[components]]\nconfig = {}\n", "kind"),
                (
                    "policy.unknown_component = \"error\"\n" + document(specimen.config, "")
                        + "[[components]]\nkind = \"x\"", "kind"
                ),
                (
                    "[[components]]\nkind = \"\(specimen.kind)\"\nenabled = \"no\"\nconfig = \(text(specimen.config))",
                    "enabled"
                ),
                ("[[components]]\nkind = \"\(specimen.kind)\"\nconfig = \"x\"", "config"),
                ("[[components]]\nkind = 5", "kind"), ("components = \"x\"", "components"),
                ("policy.unsupported_value = \"maybe\"\n" + document(specimen.config, ""), "unsupported_value"),
                ("policy = []\n" + document(specimen.config, ""), "policy"),
            ]
            let (toml, key) = host[Int.random(in: 0..<host.count, using: &random)]
            return Mistake(number: number, toml: toml, key: key)
        case 2, 3, 4:
            let conflict = specimen.conflicts[Int.random(in: specimen.conflicts.indices, using: &random)]
            // Which of the two keys is named is the reader's choice.
            return Mistake(
                number: number, toml: document(set(conflict.path, conflict.value, in: specimen.config), ""), key: "")
        default:
            let key = specimen.keys[Int.random(in: 0..<specimen.keys.count, using: &random)]
            let values = wrong(for: key.shape)
            let value = values[Int.random(in: 0..<values.count, using: &random)]
            return Mistake(
                number: number, toml: document(set(key.path, value, in: specimen.config), ""),
                key: key.path.last { Int($0) == nil } ?? "")
        }
    }

    private static func wrong(for shape: Shape) -> [JSONValue] {
        let texts: [JSONValue] = ["", "x", "\u{1F600}"]
        let numbers: [JSONValue] = [7, -1, 1.5]
        let others: [JSONValue] = [[1], ["a": 1]]
        switch shape {
        case .text: return numbers + [true] + others
        case .integer: return texts + [1.5, false, .int(.max)] + others
        case .size: return texts + [1.5, false, -1] + others
        case .positive: return texts + [1.5, false, 0, -5] + others
        case .flag: return texts + numbers + others
        case .list: return texts + numbers + [true, ["a": 1]]
        case .table: return texts + numbers + [true, [1]]
        case .word: return texts + ["no such word"] + numbers + others
        case .pattern: return ["(", "a(?=b)", "(a)\\1", "[z-a]", "*", "a{2,1}", "\\p{No}x(", 7, ["a"]]
        case .pointers: return [["a"], ["/~2"], ["/a", "b"], "/a", [1], 5]
        }
    }

    private static func get(_ path: [String], in value: JSONValue) -> JSONValue? {
        guard let first = path.first else { return value }
        let next = Int(first).flatMap { value[$0] } ?? value[first]
        return next.flatMap { get(Array(path.dropFirst()), in: $0) }
    }

    private static func set(_ path: [String], _ new: JSONValue, in value: JSONValue) -> JSONValue {
        guard let first = path.first else { return new }
        let rest = Array(path.dropFirst())
        if let index = Int(first), var elements = value.arrayValue, elements.indices.contains(index) {
            elements[index] = set(rest, new, in: elements[index])
            return .array(elements)
        }
        var object = value.objectValue ?? JSONObject()
        object[first] = set(rest, new, in: object[first] ?? [:])
        return .object(object)
    }

    /// TOML, as an inline value.
    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .object(let object):
            "{ \(object.map { "\(JSONValue.string($0.key).compactText) = \(text($0.value))" }.joined(separator: ", ")) }"
        case .array(let elements): "[\(elements.map(text).joined(separator: ", "))]"
        default: value.compactText
        }
    }

    // MARK: Tests

    @Test("specimens are right before something is done to them", arguments: specimens.indices)
    func specimen(index: Int) throws {
        let specimen = Self.specimens[index]
        let toml = "[[components]]\nkind = \"\(specimen.kind)\"\nconfig = \(Self.text(specimen.config))\n"
        let (configuration, diagnostics) = try ConfigurationReader.read(text: toml, name: "", environment: [:])
        #expect(diagnostics.allSatisfy { $0.level == .warning && $0.code == "nemo_guardrails.deprecated" })
        #expect(configuration.obstacles.isEmpty)
    }

    @Test("each ends with 2 and a sentence that names file and key, and no collector runs")
    func all() async throws {
        let directory = NSTemporaryDirectory() + "skein-invalid-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(Set(Self.mistakes.map(\.toml)).count > 150)
        for mistake in Self.mistakes {
            let file = "\(directory)/\(mistake.number).toml"
            try mistake.toml.write(toFile: file, atomically: true, encoding: .utf8)
            // Were it to run, it would find no broker there and end with 1.
            let outcome = try await SkeinProcess.run(
                ["collect", "--config", file, "--nats", "nats://127.0.0.1:1"], directory: directory)
            let complaints = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
            #expect(outcome.code == 2, "\(mistake.toml)\(outcome.errors)")
            #expect(
                complaints.contains {
                    $0.hasPrefix("error: \(file): ") && (mistake.key.isEmpty || $0.contains(mistake.key))
                },
                "\(mistake.key) in \(mistake.toml)\(outcome.errors)")
        }
    }
}
