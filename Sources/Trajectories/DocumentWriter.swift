package import ATOF

/// Writes a document as dispatchers do: two spaces a level, keys sorted, no line feed at the end
/// (`atif-trajectories.md` 4.4).
package enum DocumentWriter {
    /// The document as text.
    package static func bytes(of document: JSONValue) -> [UInt8] {
        var writer = JSONWriter()
        writer.writeIndented(document)
        return writer.bytes
    }
}
