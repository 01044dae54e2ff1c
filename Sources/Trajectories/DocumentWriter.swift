package import ATOF

/// Writes a document as dispatchers do: two spaces a level, keys sorted, no line feed at the end
/// (`atif-trajectories.md` 4.4).
package enum DocumentWriter {
    /// The document as text.
    package static func bytes(of document: JSONValue) -> [UInt8] {
        var writer = JSONWriter()
        write(document, level: 0, to: &writer)
        return writer.bytes
    }

    private static func write(_ value: JSONValue, level: Int, to writer: inout JSONWriter) {
        switch value {
        case .array(let elements) where !elements.isEmpty:
            writer.raw("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.newLine(indentedBy: 2 * (level + 1))
                write(element, level: level + 1, to: &writer)
            }
            writer.newLine(indentedBy: 2 * level)
            writer.raw("]")
        case .object(let object) where !object.isEmpty:
            writer.raw("{")
            for (index, member) in object.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.newLine(indentedBy: 2 * (level + 1))
                writer.write(member.key)
                writer.raw(": ")
                write(member.value, level: level + 1, to: &writer)
            }
            writer.newLine(indentedBy: 2 * level)
            writer.raw("}")
        case .null, .bool, .int, .unsigned, .double, .string, .array, .object: writer.write(value)
        }
    }
}
