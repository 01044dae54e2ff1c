/// Settings that no redaction can follow.
package struct RedactionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The setting, as it is called in the configuration: `pattern`, `target_paths[2]`.
    package let field: String
    /// What is wrong with it and what would be right. Holds no payload.
    package let reason: String

    package var description: String { "\(field): \(reason)" }
}
