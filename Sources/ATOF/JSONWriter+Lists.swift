extension JSONWriter: JSONSink {
    package mutating func beginObject() { begin(UInt8(ascii: "{")) }
    package mutating func endObject() { end(UInt8(ascii: "}")) }
    package mutating func beginArray() { begin(UInt8(ascii: "[")) }
    package mutating func element() { next() }
    package mutating func endArray() { end(UInt8(ascii: "]")) }

    package mutating func key(_ key: StaticString) {
        next()
        key.withUTF8Buffer { write(plain: $0) }
        colon()
    }

    /// A key of any kind.
    mutating func key(_ key: String) {
        next()
        write(key)
        colon()
    }

    /// A key of bytes that are known to be UTF-8.
    mutating func key(utf8: UnsafeBufferPointer<UInt8>) {
        next()
        write(utf8: utf8)
        colon()
    }

    private mutating func begin(_ opening: UInt8) {
        append(opening)
        level &+= 1
        isEmpty = true
    }

    /// Comes before each member or element.
    private mutating func next() {
        let mark = isEmpty ? nil : UInt8(ascii: ",")
        isEmpty = false
        if isIndented { newLine(after: mark) } else if let mark { append(mark) }
    }

    private mutating func colon() {
        if isIndented { raw(": ") } else { raw(":") }
    }

    /// An empty list is on one line in every text.
    private mutating func end(_ closing: UInt8) {
        level &-= 1
        if isIndented, !isEmpty { newLine() }
        append(closing)
        // The list in which this one is has at least this one.
        isEmpty = false
    }
}
