/// Where the values and members of JSON texts are, without parsing them: damaged texts, and several lines, have spans as well.
struct JSONSpans {
    private(set) var values: [Range<Int>] = []
    /// From a key to the end of its value.
    private(set) var members: [Range<Int>] = []

    private struct Level {
        let start: Int
        var key: Int?
    }

    init(_ text: [UInt8]) {
        var levels: [Level] = []
        var index = 0
        while index < text.count {
            let start = index
            switch text[index] {
            case UInt8(ascii: "\""):
                index = JSONSpans.endOfString(text, from: index)
                let next = text[index...].first { !JSONSpans.isSpace($0) }
                if next == UInt8(ascii: ":"), !levels.isEmpty {
                    levels[levels.count - 1].key = start
                } else {
                    add(start..<index, &levels)
                }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                levels.append(Level(start: start))
                index += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                index += 1
                if let level = levels.popLast() { add(level.start..<index, &levels) }
            case let byte where JSONSpans.isWord(byte):
                while index < text.count, JSONSpans.isWord(text[index]) { index += 1 }
                add(start..<index, &levels)
            default: index += 1
            }
        }
    }

    private mutating func add(_ value: Range<Int>, _ levels: inout [Level]) {
        values.append(value)
        guard let key = levels.last?.key else { return }
        members.append(key..<value.upperBound)
        levels[levels.count - 1].key = nil
    }

    private static func endOfString(_ text: [UInt8], from start: Int) -> Int {
        var index = start + 1
        while index < text.count {
            if text[index] == UInt8(ascii: "\\") {
                index += 2
            } else if text[index] == UInt8(ascii: "\"") {
                return index + 1
            } else {
                index += 1
            }
        }
        return text.count
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
