/// Cuts a stream of bytes into lines, whatever pieces it comes in. What it holds is less than `maximumBytes`.
package struct LineSplitter: Sendable {
    package enum Line: Sendable, Hashable {
        /// Without its newline; may be empty.
        case line([UInt8])
        /// Longer than the limit: it was thrown away as it came, and this is how long it was.
        case tooLong(bytes: Int)
    }

    private let maximumBytes: Int
    private var partial: [UInt8] = []
    /// Of the line that is being thrown away; nil when none is.
    private var skipped: Int?

    /// - Parameter maximumBytes: of a line without its newline.
    package init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// Bytes of the incomplete line.
    package var heldBytes: Int { partial.count }

    package mutating func receive(_ bytes: UnsafeRawBufferPointer) -> [Line] {
        var lines: [Line] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            take(rest[..<end])
            if let line = finish() { lines.append(line) } else { lines.append(.line([])) }
            rest = rest[rest.index(after: end)...]
        }
        take(rest)
        return lines
    }

    /// The end has come: what is left is a line without a newline.
    package mutating func finish() -> Line? {
        if let skipped {
            self.skipped = nil
            return .tooLong(bytes: skipped)
        }
        if partial.isEmpty { return nil }
        defer { partial = [] }
        return .line(partial)
    }

    private mutating func take(_ bytes: Slice<UnsafeRawBufferPointer>) {
        if let skipped {
            self.skipped = skipped + bytes.count
        } else if partial.count + bytes.count > maximumBytes {
            skipped = partial.count + bytes.count
            partial = []
        } else {
            partial.append(contentsOf: bytes)
        }
    }
}
