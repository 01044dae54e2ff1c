/// Why a JSON Schema cannot be used, and where in it.
package struct SchemaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// RFC 6901, of the keyword; empty for the schema as a whole.
    package let pointer: String
    package let reason: String

    package var description: String { pointer.isEmpty ? reason : "\(pointer) \(reason)" }
}
