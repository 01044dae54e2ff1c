/// A pattern for names: `*` stands for any number of characters, `?` for one, everything else for itself. The whole name has to match,
/// and case counts.
package struct NameGlob: Sendable, Hashable, CustomStringConvertible {
    package let description: String
    private let pattern: [UInt8]

    package init(_ text: String) {
        description = text
        pattern = Array(text.utf8)
    }

    /// Takes time in proportion to the lengths of pattern and name multiplied at the most: only the last `*` is ever tried again.
    package func matches(_ name: String) -> Bool {
        let name = Array(name.utf8)
        var (place, index) = (0, 0)
        var star: (place: Int, index: Int)?
        while index < name.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                star = (place, index)
                place += 1
            } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") {
                place += 1
                index = NameGlob.next(after: index, in: name)
            } else if place < pattern.count, pattern[place] == name[index] {
                place += 1
                index += 1
            } else if let last = star {
                star = (last.place, last.index + 1)
                (place, index) = (last.place + 1, last.index + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// Behind the bytes of one character.
    private static func next(after index: Int, in name: [UInt8]) -> Int {
        var next = index + 1
        while next < name.count, name[next] & 0xC0 == 0x80 { next += 1 }
        return next
    }
}

extension Sequence<NameGlob> {
    /// Whether any of them matches.
    package func matches(_ name: String) -> Bool { contains { $0.matches(name) } }
}
