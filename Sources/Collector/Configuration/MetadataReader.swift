internal import ATOF
internal import Middleware

/// Reads the `metadata` component: what every event gets in its metadata (`docs/components/metadata.md`).
struct MetadataReader {
    static func read(_ component: inout Component) {
        var section = component.section()
        var injection = MetadataInjection()
        if let version = section.number("version", UInt32.self), version != 1 {
            section.complain("version", "is \(version), must be 1", code: "unsupported_config_version")
        }
        if let priority = section.number("priority", Int32.self) { injection.priority = priority }
        for member in section.object("values") ?? JSONObject() where isKey(member.key, in: "values", &section) {
            guard InjectedMetadata.isValue(member.value) else {
                section.complain(
                    "values.\(member.key)", "must be a boolean, a string, a number or an array of one of these")
                continue
            }
            injection.values[member.key] = member.value
        }
        for (key, word) in section.stringTable("facts") ?? [] where isKey(key, in: "facts", &section) {
            guard let fact = MetadataInjection.Fact(rawValue: word) else {
                let known = MetadataInjection.Fact.allCases.map(\.rawValue).joined(separator: ", ")
                section.complain("facts.\(key)", "is \"\(word)\", must be one of \(known)")
                continue
            }
            injection.facts[key] = fact
        }
        component.finish(section)
        if component.isEnabled { component.configuration.middleware.metadata = injection }
    }

    private static func isKey(_ key: String, in table: String, _ section: inout ConfigurationSection) -> Bool {
        if InjectedMetadata.isKey(key) { return true }
        section.complain(
            table,
            "has the key \"\(key.prefix(100))\"; keys are of A-Z, a-z, 0-9, _ and -, with dots between, and quoted")
        return false
    }
}
