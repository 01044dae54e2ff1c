#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

/// The UTF-8 of texts.
enum TextBytes {
    static func withBytes<Result>(of text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        if let result = text.utf8.withContiguousStorageIfAvailable(body) { return result }
        var text = text
        return text.withUTF8(body)
    }

    static func isASCII(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        let raw = UnsafeRawBufferPointer(text)
        var index = 0
        while index &+ 32 <= raw.count {
            let block = raw.loadUnaligned(fromByteOffset: index, as: SIMD4<UInt64>.self)
            if (block[0] | block[1] | block[2] | block[3]) & 0x8080_8080_8080_8080 != 0 { return false }
            index &+= 32
        }
        while index < raw.count {
            if raw[index] >= 0x80 { return false }
            index &+= 1
        }
        return true
    }

    /// A word character of ASCII.
    static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
        default: false
        }
    }

    static func contains(_ text: UnsafeBufferPointer<UInt8>, _ byte: UInt8) -> Bool {
        guard let start = text.baseAddress else { return false }
        return memchr(start, Int32(byte), text.count) != nil
    }
}
