internal import ATOF
internal import Middleware

/// Reads a `builtin` table of `pii_redaction`: what of a text is replaced, and by what.
struct BuiltinRedactionReader {
    private var redaction = BuiltinRedaction()

    /// What says for itself what the preset decides.
    private static let decidedByPreset = [
        "action", "detector", "pattern", "target_paths", "target_path_globs", "mask_char", "unmasked_prefix",
        "unmasked_suffix",
    ]

    mutating func read(_ section: inout ConfigurationSection) -> BuiltinRedaction {
        redaction.replacement = section.string("replacement")
        redaction.maskCharacter = section.string("mask_char")
        redaction.unmaskedPrefix = section.number("unmasked_prefix", UInt64.self).map { Int(clamping: $0) }
        redaction.unmaskedSuffix = section.number("unmasked_suffix", UInt64.self).map { Int(clamping: $0) }
        redaction.targetPaths = readPointers(&section, "target_paths")
        redaction.targetPathGlobs = readPointers(&section, "target_path_globs")
        readMatcher(&section)
        let action = readAction(&section)
        if let preset = section.string("preset") {
            readPreset(preset, &section)
        } else {
            refuseWithoutPreset(&section)
            if let action { check(action, &section) }
        }
        return redaction
    }

    private mutating func readAction(_ section: inout ConfigurationSection) -> BuiltinRedaction.Action? {
        guard let word = section.string("action") else { return redaction.action }
        guard let action = BuiltinRedaction.Action(rawValue: word) else {
            section.complain("action", "is \"\(word)\", must be remove, redact, regex_replace, hash or mask")
            return nil
        }
        redaction.action = action
        return action
    }

    private func check(_ action: BuiltinRedaction.Action, _ section: inout ConfigurationSection) {
        switch action {
        case .remove:
            if redaction.targetPaths.isEmpty, redaction.targetPathGlobs.isEmpty, !hasSelector(&section) {
                section.complain(
                    "target_paths",
                    "is empty; action = \"remove\" removes what target_paths or target_path_globs name, or use redact")
            }
        case .redact, .regexReplace:
            if !section.has("pattern"), !section.has("detector") {
                section.complain(
                    "pattern", "is missing; action = \"\(action.rawValue)\" needs a pattern or a detector to look for")
            }
        case .mask:
            if redaction.maskCharacter?.isEmpty == true {
                section.complain("mask_char", "is empty; give the character that takes the place of hidden ones")
            }
        case .hash: break
        }
    }

    /// Whether there are selectors, though none that can be used.
    private func hasSelector(_ section: inout ConfigurationSection) -> Bool {
        ["target_paths", "target_path_globs"].contains { !(section.raw($0)?.arrayValue ?? []).isEmpty }
    }

    // MARK: Selection

    private mutating func readMatcher(_ section: inout ConfigurationSection) {
        let pattern = section.string("pattern")
        let detector = section.string("detector")
        if pattern != nil, detector != nil {
            section.complain("detector", "cannot stand beside pattern; keep one of both")
        }
        if let pattern {
            redaction.matcher = .pattern(pattern)
            do throws(PatternError) { _ = try Pattern(pattern) } catch {
                section.complain("pattern", "is no pattern of Rust's regex: \(error)")
            }
        }
        guard let detector else { return }
        guard let known = Detector(rawValue: detector) else {
            let names = Detector.allCases.map(\.rawValue).sorted().joined(separator: ", ")
            return section.complain("detector", "is \"\(detector)\", must be one of \(names)")
        }
        redaction.matcher = .detector(known)
    }

    /// Those that are JSON pointers.
    private func readPointers(_ section: inout ConfigurationSection, _ key: String) -> [String] {
        let pointers = section.strings(key) ?? []
        for (index, pointer) in pointers.enumerated() where !JSONValue.isPointer(pointer) {
            section.complain(
                "\(key)[\(index)]",
                "is \"\(pointer)\", must be a JSON pointer such as /user/email, with ~0 for ~ and ~1 for /")
        }
        return pointers.filter(JSONValue.isPointer)
    }

    // MARK: Preset

    private mutating func readPreset(_ word: String, _ section: inout ConfigurationSection) {
        redaction.preset = BuiltinRedaction.Preset(rawValue: word)
        if redaction.preset == nil { section.complain("preset", "is \"\(word)\", must be trajectory_context") }
        for key in BuiltinRedactionReader.decidedByPreset where section.has(key) {
            section.complain(key, "cannot stand beside preset, which decides it; remove one of both")
        }
        if let word = section.string("custom_mark_payload_policy") {
            redaction.customMarkPayloadPolicy = BuiltinRedaction.CustomMarkPayloadPolicy(rawValue: word)
            if redaction.customMarkPayloadPolicy == nil {
                section.complain(
                    "custom_mark_payload_policy", "is \"\(word)\", must be preserve or redact_all_leaves")
            }
        }
        redaction.metricStringAttributeAllowlist = readAllowlist(&section)
    }

    private func refuseWithoutPreset(_ section: inout ConfigurationSection) {
        _ = section.string("custom_mark_payload_policy")
        _ = readTypes(ofAllowlist: &section)
        for key in ["custom_mark_payload_policy", BuiltinRedactionReader.allowlist] where section.has(key) {
            section.complain(key, "goes with preset = \"trajectory_context\" only")
        }
    }

    private static let allowlist = "metric_string_attribute_allowlist"

    private func readTypes(ofAllowlist section: inout ConfigurationSection) -> [(String, [String])]? {
        section.stringsTable(BuiltinRedactionReader.allowlist)
    }

    private func readAllowlist(_ section: inout ConfigurationSection) -> [String: [String]]? {
        guard let names = readTypes(ofAllowlist: &section) else { return nil }
        for (name, values) in names {
            let key = "\(BuiltinRedactionReader.allowlist).\(name)"
            if name.isBlank {
                section.complain(BuiltinRedactionReader.allowlist, "has a blank name; name the attributes of metrics")
            } else if values.isEmpty {
                section.complain(key, "is empty; list the values that stay, or remove the name")
            } else if values.contains(where: \.isBlank) {
                section.complain(key, "holds a blank value; list the values that stay")
            } else if Set(values).count < values.count {
                section.complain(key, "names a value twice")
            }
        }
        return Dictionary(names) { _, last in last }
    }
}

extension String {
    fileprivate var isBlank: Bool { allSatisfy(\.isWhitespace) }
}
