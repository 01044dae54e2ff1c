internal import ATOF

/// Which places of a document are meant: pointers of RFC 6901, and globs in which a segment `*` is any one member or index.
struct PathSelection: Sendable, Hashable {
    enum Segment: Sendable, Hashable {
        case any
        case named(String)
    }

    private let paths: [[Segment]]

    /// Selects nothing.
    init() { paths = [] }

    init(paths: [String], globs: [String]) throws(RedactionError) {
        var all: [[Segment]] = []
        for (index, path) in paths.enumerated() {
            all.append(try PathSelection.segments(of: path, field: "target_paths[\(index)]").map { .named($0) })
        }
        for (index, glob) in globs.enumerated() {
            let segments = try PathSelection.segments(of: glob, field: "target_path_globs[\(index)]")
            all.append(segments.map { $0 == "*" ? .any : .named($0) })
        }
        self.paths = all
    }

    var isEmpty: Bool { paths.isEmpty }

    /// The places from which a walk begins: the root of the document.
    var root: Cursor { Cursor(rest: paths.map { $0[...] }) }

    /// What is still to be gone on the way to the places that are meant.
    struct Cursor {
        fileprivate let rest: [ArraySlice<Segment>]

        /// Whether this very place is meant.
        var isSelected: Bool { rest.contains(where: \.isEmpty) }
        /// Whether neither this place nor any below is meant.
        var isLost: Bool { rest.isEmpty }

        func member(_ key: String) -> Cursor {
            Cursor(
                rest: rest.compactMap { segments in
                    switch segments.first {
                    case .any: segments.dropFirst()
                    case .named(let name): name.utf8.elementsEqual(key.utf8) ? segments.dropFirst() : nil
                    case nil: nil
                    }
                })
        }

        func element(_ index: Int) -> Cursor { member(String(index)) }
    }

    private static func segments(of pointer: String, field: String) throws(RedactionError) -> [String] {
        if pointer.isEmpty { return [] }
        guard pointer.utf8.first == UInt8(ascii: "/") else {
            throw RedactionError(field: field, reason: "a JSON pointer is empty or begins with `/` (RFC 6901)")
        }
        var segments: [String] = []
        for segment in pointer.unicodeScalars.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            var name = ""
            var isEscape = false
            for scalar in segment {
                switch (isEscape, scalar) {
                case (true, "0"): name.unicodeScalars.append("~")
                case (true, "1"): name.unicodeScalars.append("/")
                case (true, _): throw escapeError(field)
                case (false, "~"): break
                case (false, _): name.unicodeScalars.append(scalar)
                }
                isEscape = !isEscape && scalar == "~"
            }
            if isEscape { throw escapeError(field) }
            segments.append(name)
        }
        return segments
    }

    private static func escapeError(_ field: String) -> RedactionError {
        RedactionError(
            field: field, reason: "in a JSON pointer `~` is written `~0` and `/` within a name `~1` (RFC 6901)")
    }
}
