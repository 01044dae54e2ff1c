/// Splits a command into words as a POSIX shell does, without expanding anything.
enum ShellWords {
    /// - Returns: nil for a quote that is not closed and for a backslash at the end.
    static func split(_ command: String) -> [String]? {
        var scalars = Array(command.unicodeScalars)[...]
        var words: [String] = []
        while true {
            scalars = scalars.drop(while: isSpace)
            guard let first = scalars.first else { return words }
            if first == "#" {
                scalars = scalars.drop { $0 != "\n" }
            } else {
                guard let word = word(&scalars) else { return nil }
                words.append(word)
            }
        }
    }

    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" || scalar == "\n" }

    private static func word(_ scalars: inout ArraySlice<Unicode.Scalar>) -> String? {
        var word = String.UnicodeScalarView()
        while let scalar = scalars.popFirst() {
            if isSpace(scalar) { break }
            switch scalar {
            case "'":
                guard let end = scalars.firstIndex(of: "'") else { return nil }
                word.append(contentsOf: scalars[..<end])
                scalars = scalars[(end + 1)...]
            case "\"":
                guard appendQuoted(&scalars, to: &word) else { return nil }
            case "\\":
                guard let next = scalars.popFirst() else { return nil }
                // A backslash before the end of a line joins the lines.
                if next != "\n" { word.append(next) }
            default: word.append(scalar)
            }
        }
        return String(word)
    }

    /// - Returns: whether the closing quote was found.
    private static func appendQuoted(
        _ scalars: inout ArraySlice<Unicode.Scalar>, to word: inout String.UnicodeScalarView
    ) -> Bool {
        while let scalar = scalars.popFirst() {
            if scalar == "\"" { return true }
            guard scalar == "\\" else {
                word.append(scalar)
                continue
            }
            guard let next = scalars.popFirst() else { return false }
            switch next {
            case "$", "`", "\"", "\\": word.append(next)
            case "\n": break
            default:
                word.append(scalar)
                word.append(next)
            }
        }
        return false
    }
}
