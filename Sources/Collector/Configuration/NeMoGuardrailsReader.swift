internal import ATOF
internal import Foundation
internal import HTTPTransport
internal import Middleware

/// Reads NeMo Relay's `nemo_guardrails` component (`middleware-guardrails-pii.md` 9). It runs in remote mode only.
struct NeMoGuardrailsReader {
    private let environment: [String: String]
    private var settings = NeMoGuardrails(endpoint: "", configuration: .several([]))
    /// What validation lets pass, as the reference does, and no check can be made with.
    private var obstacles: [(key: String, message: String)] = []

    private enum Mode: String, CaseIterable { case remote, local }

    static func read(_ component: inout Component) {
        var section = component.section()
        var reader = NeMoGuardrailsReader(environment: component.environment)
        section.report(
            .warning, "deprecated", "kind",
            "NeMo Relay calls this component deprecated; guardrails and workers take its place")
        let mode = reader.read(&section)
        component.finish(section, refused: .all)
        if mode == .local {
            component.obstruct(
                "plugin.builtin_registration_failed", "mode",
                "is local, which needs Python in the agent's process; a collector uses mode = \"remote\"")
        }
        for obstacle in reader.obstacles {
            component.obstruct("nemo_guardrails.unsupported_value", obstacle.key, obstacle.message)
        }
        if component.isEnabled, mode == .remote { component.configuration.middleware.nemoGuardrails = reader.settings }
    }

    private init(environment: [String: String]) { self.environment = environment }

    private mutating func read(_ section: inout ConfigurationSection) -> Mode {
        if let version = section.number("version", UInt32.self), version != 1 {
            section.complain("version", "is \(version), must be 1", code: "unsupported_config_version")
        }
        let mode = section.choice("mode", Mode.self) ?? .remote
        readSurfaces(&section, mode)
        if let priority = section.number("priority", Int32.self) { settings.priority = priority }
        readSkein(&section)
        switch mode {
        case .remote:
            for key in ["config_path", "config_yaml", "colang_content"] where section.string(key) != nil {
                section.complain(key, "goes with mode = \"local\" only", code: "invalid_config_source")
            }
            if section.object("local") != nil { section.complain("local", "goes with mode = \"local\" only") }
            readRemote(&section)
            readDefaults(&section)
        case .local: readLocal(&section)
        }
        return mode
    }

    private mutating func readSurfaces(_ section: inout ConfigurationSection, _ mode: Mode) {
        settings.checksInput = section.bool("input") ?? true
        settings.checksOutput = section.bool("output") ?? true
        settings.checksToolOutput = section.bool("tool_output") ?? false
        let checksToolInput = section.bool("tool_input") ?? false
        if checksToolInput, mode == .remote {
            section.complain("tool_input", "is not checked in remote mode; set it to false")
        }
        if !settings.checksInput, !settings.checksOutput, !settings.checksToolOutput, !checksToolInput {
            section.complain(
                "input", "is off like output, tool_input and tool_output; turn one on, or the component off")
        }
        let codec = section.string("codec")
        if settings.checksInput || settings.checksOutput {
            switch codec {
            case nil where section.has("codec"): break
            case nil: section.complain("codec", "is missing; input and output need it: openai_chat")
            case "openai_chat"?: break
            case let other?:
                let known = ["openai_responses", "anthropic_messages"]
                if mode == .remote || !known.contains(other) {
                    section.complain("codec", "is \"\(other)\", must be openai_chat")
                }
            }
        }
    }

    /// What NeMo Relay does not have.
    private mutating func readSkein(_ section: inout ConfigurationSection) {
        if let policy = section.choice("on_failure", WorkerSettings.FailurePolicy.self) { settings.onFailure = policy }
        if let count = section.integer("max_in_flight") {
            if count > 256 { section.complain("max_in_flight", "must be at most 256, is \(count)") }
            settings.maximumInFlight = Int(min(count, 256))
        }
    }

    // MARK: Remote

    private mutating func readRemote(_ section: inout ConfigurationSection) {
        guard var remote = section.section("remote") else {
            if !section.has("remote") {
                section.complain("remote", "is missing; give endpoint and config_id of the server")
            }
            return
        }
        if let endpoint = remote.string("endpoint"), !endpoint.isEmpty {
            settings.endpoint = String(endpoint.reversed().drop { $0 == "/" }.reversed())
            if !endpoint.hasPrefix("http://"), !endpoint.hasPrefix("https://") {
                obstacles.append(("remote.endpoint", "must begin with http:// or https://"))
            } else if endpoint.contains("?") || endpoint.contains("#") {
                obstacles.append(("remote.endpoint", "must have no query and no fragment; the path is appended to it"))
            }
        } else if !remote.has("endpoint") || remote.string("endpoint") == "" {
            remote.complain("endpoint", "is missing; give the URL of the server, such as http://127.0.0.1:8000")
        }
        readConfiguration(&remote)
        for (name, value) in remote.stringTable("headers") ?? [] { addHeader("remote.headers.\(name)", name, value) }
        for (name, variable) in remote.stringTable("header_env") ?? [] {
            guard let value = environment[variable], !value.isEmpty else {
                remote.complain("header_env.\(name)", "names the environment variable \(variable), which is not set")
                continue
            }
            addHeader("remote.header_env.\(name)", name, value)
        }
        if let millis = remote.number("timeout_millis", UInt64.self) {
            if !(1...600_000).contains(millis) {
                obstacles.append(("remote.timeout_millis", "is \(millis), must be 1 to 600000"))
            }
            settings.timeout = .milliseconds(Int64(min(max(millis, 1), 600_000)))
        }
        section.finish(remote)
    }

    private mutating func readConfiguration(_ remote: inout ConfigurationSection) {
        let (one, several) = (remote.string("config_id"), remote.strings("config_ids"))
        switch (remote.has("config_id"), remote.has("config_ids")) {
        case (true, true):
            remote.complain("config_ids", "stands beside config_id; keep one of them", code: "invalid_config_source")
        case (false, false):
            remote.complain("config_id", "is missing; give it, or config_ids", code: "invalid_config_source")
        case (true, false):
            if one?.trimmingCharacters(in: .whitespaces).isEmpty == true {
                remote.complain("config_id", "is empty", code: "invalid_config_source")
            }
            settings.configuration = .one(one ?? "")
        case (false, true):
            if let several, several.isEmpty || several.contains(where: \.isEmpty) {
                remote.complain("config_ids", "is empty, or has an empty one", code: "invalid_config_source")
            }
            settings.configuration = .several(several ?? [])
        }
    }

    private static let transferHeaders: Set = [
        "connection", "content-length", "content-type", "expect", "host", "te", "trailer", "transfer-encoding",
        "upgrade",
    ]

    private mutating func addHeader(_ key: String, _ name: String, _ value: String) {
        if let defect = HTTPRequest.defect(ofHeader: name, value) {
            obstacles.append((key, "cannot be sent: \(defect)"))
        } else if NeMoGuardrailsReader.transferHeaders.contains(name.lowercased()) {
            obstacles.append((key, "is a header of the transfer, which follows from the request; remove it"))
        } else if settings.headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
            obstacles.append((key, "the header is set twice; names do not depend on case"))
        }
        settings.headers.append(.init(name: name, value: value))
    }

    // MARK: Request defaults

    private mutating func readDefaults(_ section: inout ConfigurationSection) {
        guard var defaults = section.section("request_defaults") else { return }
        settings.defaults.context = defaults.object("context")
        if let thread = defaults.string("thread_id") {
            let trimmed = thread.trimmingCharacters(in: .whitespacesAndNewlines)
            if trimmed.unicodeScalars.count < 16 { defaults.complain("thread_id", "must have at least 16 characters") }
            settings.defaults.threadID = thread
        }
        if let state = defaults.object("state") {
            for key in state.keys where key != "events" && key != "state" {
                defaults.complain("state.\(key)", "is not known here; known are events, state")
            }
            settings.defaults.state = state
        }
        settings.defaults.llmParams = defaults.object("llm_params")
        settings.defaults.log = defaults.object("log")
        if let output = defaults.raw("llm_output") {
            if output.boolValue == nil, output.objectValue == nil {
                defaults.complain("llm_output", "must be true, false or a table")
            }
            settings.defaults.llmOutput = output
        }
        if let variables = defaults.raw("output_vars") {
            if variables.boolValue == nil, !NeMoGuardrailsReader.isNames(variables) {
                defaults.complain("output_vars", "must be true, false or an array of names")
            }
            settings.defaults.outputVars = variables
        }
        if var rails = defaults.section("rails") {
            settings.defaults.rails = readRails(&rails)
            defaults.finish(rails)
        }
        section.finish(defaults)
    }

    private func readRails(_ rails: inout ConfigurationSection) -> JSONObject {
        var result = JSONObject()
        let on = [
            "input": settings.checksInput, "output": settings.checksOutput, "tool_output": settings.checksToolOutput,
        ]
        for key in ["input", "output", "retrieval", "dialog", "tool_output", "tool_input"] {
            guard let value = rails.raw(key) else { continue }
            if value.boolValue == nil, key == "dialog" || !NeMoGuardrailsReader.isNames(value) {
                rails.complain(
                    key, key == "dialog" ? "must be true or false" : "must be true, false or an array of names")
            }
            if on[key] == true, value == false || value.arrayValue?.isEmpty == true {
                rails.complain(
                    key, "leaves no rail for what \(key) = true checks; name the rails, or set \(key) = false beside it"
                )
            }
            result[key] = value
        }
        return result
    }

    private static func isNames(_ value: JSONValue) -> Bool {
        value.arrayValue?.allSatisfy { $0.stringValue?.trimmingCharacters(in: .whitespaces).isEmpty == false } ?? false
    }

    // MARK: Local

    /// What the agent's process would be told; it is checked only.
    private func readLocal(_ section: inout ConfigurationSection) {
        _ = (section.string("config_path"), section.string("config_yaml"), section.string("colang_content"))
        switch (section.has("config_path"), section.has("config_yaml")) {
        case (true, true):
            section.complain(
                "config_yaml", "stands beside config_path; keep one of them", code: "invalid_config_source")
        case (false, false):
            section.complain(
                "config_path", "is missing; give it, or config_yaml", code: "invalid_config_source")
        case (true, false), (false, true): break
        }
        if section.has("colang_content"), !section.has("config_yaml") {
            section.complain("colang_content", "goes with config_yaml only", code: "invalid_config_source")
        }
        if section.object("remote") != nil { section.complain("remote", "goes with mode = \"remote\" only") }
        if section.object("request_defaults") != nil {
            section.complain("request_defaults", "goes with mode = \"remote\" only")
        }
        guard var local = section.section("local") else { return }
        for key in ["python_module", "python_executable", "python_path"] { _ = local.raw(key) }
        section.finish(local)
    }
}
