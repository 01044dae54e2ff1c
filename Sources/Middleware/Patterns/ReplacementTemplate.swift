/// A replacement in which `$1`, `$name` and `${name}` stand for groups and `$$` for a dollar, as in Rust's `regex` crate: a name is as
/// long as it can be, so `$1x` is the group "1x", and a group that is not there stands for nothing.
struct ReplacementTemplate: Sendable, Hashable {
    enum Part: Sendable, Hashable {
        case literal(String)
        case group(Int)
    }

    let parts: [Part]

    init(_ text: String, groupNames: [String?]) {
        var parts: [Part] = []
        var literal = ""
        var rest = Array(text.unicodeScalars)[...]
        func group(_ name: String) {
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = ""
            let digits = !name.isEmpty && name.utf8.allSatisfy { (0x30...0x39).contains($0) }
            if digits, let number = Int(name) {
                if number <= groupNames.count { parts.append(.group(number)) }
            } else if let index = groupNames.firstIndex(of: name) {
                parts.append(.group(index + 1))
            }
        }
        while let scalar = rest.popFirst() {
            guard scalar == "$", let next = rest.first else {
                literal.unicodeScalars.append(scalar)
                continue
            }
            if next == "$" {
                rest.removeFirst()
                literal += "$"
            } else if next == "{", let end = rest.firstIndex(of: "}") {
                group(String(String.UnicodeScalarView(rest[(rest.startIndex + 1)..<end])))
                rest = rest[(end + 1)...]
            } else {
                let name = rest.prefix { $0.isASCII && UnicodeTables.asciiWords.contains($0.value) }
                if name.isEmpty {
                    literal += "$"
                } else {
                    group(String(String.UnicodeScalarView(name)))
                    rest = rest[name.endIndex...]
                }
            }
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        self.parts = parts
    }

    /// A text that is taken as it is.
    init(literal text: String) { parts = text.isEmpty ? [] : [.literal(text)] }

    /// Whether it has groups beside the whole match, which cost a second look.
    var needsGroups: Bool { parts.contains { if case .group(let number) = $0 { number > 0 } else { false } } }

    /// - Parameter groups: of a match in `text`, the whole first.
    func filled(text: UnsafeBufferPointer<UInt8>, groups: [Range<Int>?]) -> [UInt8] {
        var result: [UInt8] = []
        for part in parts {
            switch part {
            case .literal(let literal): result.append(contentsOf: literal.utf8)
            case .group(let number):
                if number < groups.count, let range = groups[number] { result.append(contentsOf: text[range]) }
            }
        }
        return result
    }
}
