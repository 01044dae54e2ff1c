package import ATOF

/// Writes a document as dispatchers do: two spaces a level, keys sorted, no line feed at the end
/// (`atif-trajectories.md` 4.4).
package enum DocumentWriter {
    /// The document as text.
    ///
    /// - Parameter expected: how many bytes that will be at most, as a rule.
    package static func bytes(of document: JSONDraft, expected: Int = 1 << 16) -> [UInt8] {
        JSONWriter.bytes(expected: expected, level: 0) { $0.write(document) }
    }

    /// The document as text.
    package static func bytes(of document: JSONValue) -> [UInt8] { bytes(of: .value(document)) }
}
