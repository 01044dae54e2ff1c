/// What is wrong at one place of an ATIF document.
package struct DocumentFinding: Sendable, Hashable, CustomStringConvertible {
    /// Members and indices with dots, such as `steps.3.metrics`; `document` for the whole.
    package let path: String
    package let what: String

    /// - Parameter path: empty for the whole.
    package init(_ path: String, _ what: String) {
        self.path = path.isEmpty ? "document" : path
        self.what = what
    }

    /// The same in a list of documents.
    package func below(_ prefix: String) -> DocumentFinding { DocumentFinding(prefix + path, what) }

    package var description: String { "\(path): \(what)" }
}
