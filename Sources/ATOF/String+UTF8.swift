extension String {
    /// Lends the bytes of the text. Unlike `withUTF8` it needs no variable, so the text is neither copied nor counted.
    @inlinable
    @inline(__always)
    package func withBorrowedUTF8<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        // Inlined, unlike the span. Only texts that are not UTF-8 inside, which Linux does not have, need the span.
        if let result = utf8.withContiguousStorageIfAvailable(body) { return result }
        return utf8.span.withUnsafeBufferPointer(body)
    }

    /// A copy of bytes that are known to be UTF-8: they come out of simdjson or of other texts. Nothing checks them again.
    @usableFromInline
    package init(knownUTF8 bytes: UnsafeBufferPointer<UInt8>) {
        // Safe because the span does not outlive the call, and the caller says that the bytes are UTF-8.
        let span = UTF8Span(
            unchecked: Span(_unsafeElements: bytes), isKnownASCII: String.isASCII(UnsafeRawBufferPointer(bytes)))
        self.init(copying: span)
    }

    /// A text of at most so many bytes, which `body` writes and counts. They have to be UTF-8.
    @inlinable
    @inline(__always)
    package init(knownUTF8Capacity capacity: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) -> Int) {
        self = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { buffer in
            let count = body(buffer)
            return String(knownUTF8: UnsafeBufferPointer(rebasing: buffer[..<count]))
        }
    }

    private static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        var seen: UInt64 = 0
        while index &+ 8 <= bytes.count {
            seen |= bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            index &+= 8
        }
        while index < bytes.count {
            seen |= UInt64(bytes[index])
            index &+= 1
        }
        return seen & 0x8080_8080_8080_8080 == 0
    }
}
