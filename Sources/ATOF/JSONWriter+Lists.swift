extension JSONWriter {
    /// An array or object that is being written.
    struct List {
        /// Of what is in it; nil in compact text.
        let level: Int?
        fileprivate let opening: UInt8
        fileprivate var isEmpty = true

        fileprivate init(level: Int?, opening: UInt8) {
            self.level = level
            self.opening = opening
        }
    }

    /// - Parameter level: of the list itself.
    mutating func begin(_ opening: Unicode.Scalar, _ level: Int?) -> List {
        List(level: level.map { $0 + 1 }, opening: UInt8(ascii: opening))
    }

    /// What comes before each member or element.
    mutating func next(in list: inout List) {
        let mark = list.isEmpty ? list.opening : UInt8(ascii: ",")
        list.isEmpty = false
        if let level = list.level { newLine(after: mark, level: level) } else { append(mark) }
    }

    /// Between a key and its value.
    mutating func colon(in list: List) {
        if list.level == nil { raw(":") } else { raw(": ") }
    }

    /// An empty list is on one line in every text.
    mutating func end(_ list: List, _ closing: Unicode.Scalar) {
        if list.isEmpty {
            append(list.opening)
        } else if let level = list.level {
            newLine(level: level - 1)
        }
        append(UInt8(ascii: closing))
    }
}
