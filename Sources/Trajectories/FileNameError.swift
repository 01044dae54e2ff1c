/// Why a file name template cannot be used, or not for a certain trajectory.
package struct FileNameError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: String, Sendable, Hashable {
        case unsafePath = "is absolute, or leads out of its directory"
        case unclosedPlaceholder = "has a placeholder without its closing brace"
        case noSessionID = "lacks {session_id}"
        case invalidPath = "is no path of names joined by dots"
        case unsafeValue = "has a text with more than letters, digits and ._~- in segments joined by slashes"
        case emptyValue = "is an empty text"
        case missingValue = "has no value and no fallback"
        case notAnObject = "leads through a value that is no object"
        case notAString = "is no string"
        case tooLong = "makes a name of more than 1024 bytes"
    }

    package let code: Code
    /// The template or metadata path, never a value of metadata.
    package let subject: String

    init(_ code: Code, _ subject: String) {
        self.code = code
        self.subject = subject
    }

    package var description: String { "\(subject) \(code.rawValue)" }
}
