package import ATOF

/// The name of a trajectory's file, with places for its id, for its tenant, and for texts from its opener's metadata
/// (`atif-trajectories.md` 6.1).
package struct FileNameTemplate: Sendable, Hashable {
    /// The template of the reference.
    package static let standard = "nemo-relay-atif-{session_id}.json"

    /// Bytes of a name.
    private static let maximumLength = 1024

    private enum Piece: Sendable, Hashable {
        case literal(String)
        case sessionID
        case tenant
        case metadata(path: [String], fallback: String?)
    }

    private let pieces: [Piece]

    /// - Throws: `FileNameError` for a template that could name a file outside of its directory, or two trajectories
    /// alike.
    package init(_ template: String) throws(FileNameError) {
        try FileNameTemplate.check(literal: template)
        var pieces: [Piece] = []
        var rest = template[...]
        while let brace = rest.firstIndex(of: "{") {
            pieces.append(.literal(String(rest[..<brace])))
            rest = rest[brace...]
            let isMetadata = rest.hasPrefix("{metadata.")
            guard isMetadata || rest.hasPrefix("{session_id") || rest.hasPrefix("{tenant}") else {
                pieces.append(.literal("{"))
                rest = rest.dropFirst()
                continue
            }
            guard let end = rest.firstIndex(of: "}") else { throw FileNameError(.unclosedPlaceholder, String(rest)) }
            let content = rest[rest.index(after: brace)..<end]
            if isMetadata {
                pieces.append(try FileNameTemplate.metadata(content.dropFirst("metadata.".count)))
            } else if content == "tenant" {
                pieces.append(.tenant)
            } else {
                pieces.append(content == "session_id" ? .sessionID : .literal("{\(content)}"))
            }
            rest = rest[rest.index(after: end)...]
        }
        pieces.append(.literal(String(rest)))
        guard pieces.contains(.sessionID) else { throw FileNameError(.noSessionID, template) }
        self.pieces = pieces
    }

    /// - Parameter tenant: made of `a-z`, `0-9`, `_` and `-`; empty when there are none, then `_` stands for it.
    /// - Throws: `FileNameError` when the metadata does not give a usable text for a placeholder without fallback.
    package func render(
        sessionID: String, tenant: String, metadata: JSONValue?
    ) throws(FileNameError) -> String {
        var name = ""
        for piece in pieces {
            switch piece {
            case .literal(let text): name += text
            case .sessionID: name += sessionID
            case .tenant: name += tenant.isEmpty ? "_" : tenant
            case .metadata(let path, let fallback):
                name += try FileNameTemplate.resolve(path, in: metadata, fallback: fallback)
            }
        }
        guard name.utf8.count <= FileNameTemplate.maximumLength else { throw FileNameError(.tooLong, "the template") }
        // Pieces that are harmless alone can make a segment of dots together.
        guard FileNameTemplate.isRelative(name) else { throw FileNameError(.unsafePath, name) }
        return name
    }

    /// Whether a name is one of a file that stays in its directory, is no longer than a key of S3 may be, and can stand in a header.
    package static func isRelative(_ name: String) -> Bool {
        let segments = name.split(separator: "/")
        return name.utf8.count <= maximumLength && !name.hasPrefix("/") && ![nil, "."].contains(segments.last)
            && !segments.contains("..") && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }

    private static func check(literal template: String) throws(FileNameError) {
        let segments = template.split(separator: "/", omittingEmptySubsequences: false)
        let hasDrive = template.dropFirst().first == ":" && template.first?.isLetter == true
        let hasControls = template.utf8.contains { $0 < 0x20 || $0 == 0x7F }
        if template.hasPrefix("/") || template.contains("\\") || segments.first == "." || segments.contains("..")
            || hasDrive || hasControls
        {
            throw FileNameError(.unsafePath, template)
        }
    }

    private static func metadata(_ content: Substring) throws(FileNameError) -> Piece {
        var path = content
        var fallback: String?
        if let separator = content.firstRange(of: ":-") {
            path = content[..<separator.lowerBound]
            let text = String(content[separator.upperBound...])
            guard isSafe(text) else { throw FileNameError(.unsafeValue, "\(content)") }
            fallback = text
        }
        let keys = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let isValid = keys.allSatisfy { key in
            !key.isEmpty
                && key.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
        }
        guard isValid else { throw FileNameError(.invalidPath, "\(path)") }
        return .metadata(path: keys, fallback: fallback)
    }

    private static func resolve(
        _ path: [String], in metadata: JSONValue?, fallback: String?
    ) throws(FileNameError) -> String {
        let name = path.joined(separator: ".")
        var value = metadata ?? .null
        for key in path {
            if value.isNull { break }
            guard let object = value.objectValue else { throw FileNameError(.notAnObject, name) }
            value = object[key] ?? .null
        }
        if value.isNull {
            guard let fallback else { throw FileNameError(.missingValue, name) }
            return fallback
        }
        guard let text = value.stringValue else { throw FileNameError(.notAString, name) }
        guard !text.isEmpty else { throw FileNameError(.emptyValue, name) }
        return cleaned(text)
    }

    /// A value as a part of one segment: each run of bytes that have no place there, and of dots that follow each other, is one `-`. The
    /// specification refuses such values; release 0.10.4 does this.
    private static func cleaned(_ text: String) -> String {
        if text == "." { return "-" }
        var name: [UInt8] = []
        var isReplacing = false
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            let dots = rest.prefix { $0 == UInt8(ascii: ".") }.count
            rest = rest.dropFirst(max(dots, 1))
            if dots < 2, isPlain(byte) {
                name.append(byte)
                isReplacing = false
            } else if !isReplacing {
                name.append(UInt8(ascii: "-"))
                isReplacing = true
            }
        }
        return String(decoding: name, as: UTF8.self)
    }

    /// Whether a text is one or more path segments that lead nowhere else.
    private static func isSafe(_ text: String) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { segment in
            !segment.isEmpty && segment != "." && segment != ".."
                && segment.utf8.allSatisfy(isPlain)
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || "._~-".utf8.contains(byte) }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
