internal import ATOF
internal import LLMCodecs
internal import Middleware

/// Reads NeMo Relay's `pii_redaction` component (`middleware-guardrails-pii.md` 8.1).
struct PIIRedactionReader {
    private var redaction = PIIRedaction()
    /// The path below `config` of what asks for a model, and runs nowhere.
    private var modelKeys: [String] = []

    /// What a document with `profiles` must not have beside them, not even with the value that is the default.
    private static let single = [
        "mode", "input", "output", "mark", "tool_input", "tool_output", "priority", "builtin", "local",
    ]

    static func read(_ component: inout Component) {
        var section = component.section()
        var reader = PIIRedactionReader()
        reader.read(&section)
        component.finish(section, refused: .compound)
        for key in reader.modelKeys {
            component.obstruct(
                "plugin.builtin_registration_failed", key,
                "needs a model that this collector does not have; use mode = \"builtin\", or turn it off")
        }
        if component.isEnabled { component.configuration.middleware.piiRedaction = reader.redaction }
    }

    private mutating func read(_ section: inout ConfigurationSection) {
        if let version = section.number("version", UInt32.self), version != 1 {
            section.complain("version", "is \(version), must be 1", code: "unsupported_config_version")
        }
        if let codec = section.string("codec") {
            redaction.codec = Surface(rawValue: codec)
            if redaction.codec == nil {
                section.complain("codec", "is \"\(codec)\", must be one of \(Surface.names)")
            }
        }
        if section.has("profiles") { readProfiles(&section) } else { readSingle(&section) }
    }

    // MARK: One redaction, or several

    private mutating func readSingle(_ section: inout ConfigurationSection) {
        let switches: [(String, WritableKeyPath<PIIRedaction.Surfaces, Bool>)] = [
            ("input", \.input), ("output", \.output), ("mark", \.mark), ("tool_input", \.toolInput),
            ("tool_output", \.toolOutput),
        ]
        for (key, path) in switches {
            if let isOn = section.bool(key) { redaction.surfaces[keyPath: path] = isOn }
        }
        if switches.allSatisfy({ !redaction.surfaces[keyPath: $0.1] }) {
            section.complain(
                "input",
                "is off like output, mark, tool_input and tool_output; turn one on, or the component off")
        }
        if let profile = readProfile(&section, index: nil) { redaction.profiles = [profile] }
    }

    private mutating func readProfiles(_ section: inout ConfigurationSection) {
        for key in PIIRedactionReader.single where section.has(key) {
            _ = section.raw(key)
            section.complain(key, "cannot stand beside profiles; move it into a profile, or remove it")
        }
        var isAnyEnabled = false
        for (index, profile) in (section.sections("profiles") ?? []).enumerated() {
            var profile = profile
            let isEnabled = profile.bool("enabled") ?? true
            isAnyEnabled = isAnyEnabled || isEnabled
            let known = modelKeys.count
            let read = readProfile(&profile, index: index)
            if isEnabled {
                if let read { redaction.profiles.append(read) }
            } else {
                modelKeys.removeSubrange(known...)
            }
            section.finish(profile)
        }
        if !isAnyEnabled { section.complain("profiles", "must have at least one enabled profile") }
    }

    /// The part that a profile and a document without profiles have alike; nil without a built-in redaction.
    private mutating func readProfile(_ section: inout ConfigurationSection, index: Int?) -> PIIRedaction.Profile? {
        var profile = PIIRedaction.Profile()
        profile.index = index
        if let priority = section.number("priority", Int32.self) { profile.priority = priority }
        let mode = section.string("mode") ?? "builtin"
        if mode != "builtin", mode != "local_model" {
            section.complain("mode", "is \"\(mode)\", must be builtin or local_model")
        }
        if section.has("builtin"), mode != "builtin" {
            section.complain("builtin", "goes with mode = \"builtin\" only")
        }
        if section.has("local"), mode != "local_model" {
            section.complain("local", "goes with mode = \"local_model\" only")
        }
        readLocal(&section)
        if mode == "local_model" {
            if index != nil, !section.has("local") {
                section.complain("local", "is missing; a profile with mode = \"local_model\" needs its settings")
            }
            modelKeys.append(index.map { "profiles[\($0)].mode" } ?? "mode")
        }
        guard var builtin = section.section("builtin") else {
            if mode == "builtin", !section.has("builtin") {
                section.complain("builtin", "is missing; say what is redacted and how, such as action and detector")
            }
            return nil
        }
        var reader = BuiltinRedactionReader()
        profile.builtin = reader.read(&builtin)
        section.finish(builtin)
        return profile
    }

    /// What a model would be told; it is checked only.
    private func readLocal(_ section: inout ConfigurationSection) {
        guard var local = section.section("local") else { return }
        for key in ["backend", "model_id", "detector_profile"] { _ = local.string(key) }
        _ = local.bool("allow_network")
        _ = local.number("max_latency_ms", UInt64.self)
        section.finish(local)
    }
}
