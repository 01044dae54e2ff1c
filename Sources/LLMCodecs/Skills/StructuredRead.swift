internal import ATOF

/// Tools that read files by path (`codecs-and-pricing.md` 7b).
enum StructuredRead {
    private static let names: Set<String> = [
        "read", "readfile", "readtextfile", "readmultiplefiles", "fileread", "readresource", "getfilecontents",
        "readfilecontent",
    ]
    private static let longestName = names.map(\.utf8.count).max() ?? 0
    private static let pathMembers: Set<String> = [
        "path", "filepath", "filename", "file", "paths", "uri", "absolutepath",
    ]
    private static let limits: Set<String> = [
        "limit", "range", "head", "tail", "startline", "endline", "linestart", "lineend",
    ]

    /// Whether the last words of a tool's name, put together, are that of a reader, as in `mcp__fs__read_file`.
    static func isReader(_ name: String) -> Bool {
        var tail = ""
        for word in name.utf8.split(whereSeparator: { !$0.isASCIILetterOrDigit }).reversed() {
            tail = String(decoding: word, as: UTF8.self).asciiLowercased + tail
            if names.contains(tail) { return true }
            if tail.utf8.count > longestName { return false }
        }
        return false
    }

    /// The paths that a call reads as a whole; none if it reads parts.
    static func paths(_ arguments: JSONValue) -> [String] {
        var paths: [String] = []
        var isPartial = false
        ArgumentMembers.visit(arguments) { key, value in
            if key == "offset" { isPartial = isPartial || value != .int(0) }
            if limits.contains(key) { isPartial = isPartial || !value.isNull }
            if pathMembers.contains(key) { append(value, to: &paths) }
        }
        return isPartial ? [] : paths
    }

    private static func append(_ value: JSONValue, to paths: inout [String]) {
        switch value {
        case .string(let path): paths.append(path)
        case .array(let elements): for element in elements { append(element, to: &paths) }
        case .null, .bool, .int, .unsigned, .double, .object: break
        }
    }
}
