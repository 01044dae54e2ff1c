internal import ATOF

/// What becomes of the complaints of a document or of a component (`middleware-guardrails-pii.md` 10).
struct ConfigurationPolicies: Equatable {
    var unknownComponent = DiagnosticPolicy.warn
    var unknownField = DiagnosticPolicy.warn
    var unsupportedValue = DiagnosticPolicy.error

    private static var members: [(String, WritableKeyPath<ConfigurationPolicies, DiagnosticPolicy>)] {
        [
            ("unknown_component", \.unknownComponent), ("unknown_field", \.unknownField),
            ("unsupported_value", \.unsupportedValue),
        ]
    }

    init() {}

    /// The words of a `policy` table that can be used; the others are complained about where the table is read.
    init(lenient table: JSONValue?) {
        for (key, path) in ConfigurationPolicies.members {
            guard let policy = table?[key]?.stringValue.flatMap(DiagnosticPolicy.init(rawValue:)) else { continue }
            self[keyPath: path] = policy
        }
    }

    /// Reads a `policy` table for its complaints: a wrong word is an error with this code, whatever the policies are.
    static func check(_ section: inout ConfigurationSection, code: String) {
        for (key, _) in ConfigurationPolicies.members {
            guard let text = section.string(key), DiagnosticPolicy(rawValue: text) == nil else { continue }
            section.report(.error, code, key, "is \"\(text)\", must be ignore, warn or error")
        }
    }

    /// A component's policies below those of the document, which count where they differ from their defaults.
    func below(_ document: ConfigurationPolicies) -> ConfigurationPolicies {
        let defaults = ConfigurationPolicies()
        var effective = self
        for (_, path) in ConfigurationPolicies.members where document[keyPath: path] != defaults[keyPath: path] {
            effective[keyPath: path] = document[keyPath: path]
        }
        return effective
    }
}
