/// Why a text is no pattern.
package struct PatternError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The character at which it went wrong, counted from 1; nil when it is the pattern as a whole.
    package let position: Int?
    package let reason: String

    package var description: String { position.map { "at character \($0): \(reason)" } ?? reason }
}
