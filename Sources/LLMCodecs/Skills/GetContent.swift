internal import ATOF

/// PowerShell's command that prints files.
enum GetContent {
    private static let switches: Set<String> = ["asbytestream", "force", "raw"]
    private static let values: Set<String> = ["encoding", "readcount"]
    private static let pathOptions: Set<String> = ["literalpath", "path"]

    /// The paths that it prints; nil when it has an option that prints parts, or that is not known.
    static func paths(_ arguments: [String]) -> [String]? {
        var paths: [String] = []
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("-") else {
                paths.append(word)
                continue
            }
            let body = word.unicodeScalars.dropFirst()
            let end = body.firstIndex { $0 == ":" || $0 == "=" }
            let name = String(body[..<(end ?? body.endIndex)]).asciiLowercased
            let inline = end.map { String(body[body.index(after: $0)...]) }
            if pathOptions.contains(name) {
                guard let path = inline ?? rest.popFirst() else { return nil }
                paths.append(path)
            } else if values.contains(name) {
                if inline == nil, rest.popFirst() == nil { return nil }
            } else if !switches.contains(name) {
                return nil
            }
        }
        return paths
    }
}
