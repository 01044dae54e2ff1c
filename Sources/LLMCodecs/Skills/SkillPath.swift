internal import ATOF

/// Which skill a path belongs to (`codecs-and-pricing.md` 7, path rule).
enum SkillPath {
    /// The folder that holds the file `SKILL.md`; nil for any other path.
    static func skill(_ path: String) -> String? {
        guard path.trimmed == path, let first = path.unicodeScalars.first, let last = path.unicodeScalars.last,
            !quotes.contains(first), !quotes.contains(last), !separators.contains(last)
        else { return nil }
        let components = path.unicodeScalars.split(whereSeparator: separators.contains).map(String.init)
        guard components.count > 1, components[components.count - 1].asciiLowercased == "skill.md" else { return nil }
        let folder = components[components.count - 2]
        // `C:\SKILL.md` and `file:///SKILL.md` have no folder.
        return folder == "." || folder == ".." || folder.hasSuffix(":") ? nil : folder
    }

    static let separators: Set<Unicode.Scalar> = ["/", "\\"]
    private static let quotes: Set<Unicode.Scalar> = ["'", "\""]
}
