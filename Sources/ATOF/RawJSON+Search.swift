#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

extension RawJSON {
    /// Whether a word of a key or a text may be in the payload: false is certain, true means that it has to be parsed.
    ///
    /// A producer may write any letter as an escape, so a payload with an escape of a plain character may hold every word.
    package func mayContain(_ word: StaticString) -> Bool {
        withBytes { bytes in
            word.withUTF8Buffer { bytes.contains(sequence: $0) } || bytes.hasPlainEscape
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    fileprivate func contains(sequence word: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = baseAddress, let wanted = word.baseAddress else { return word.isEmpty }
        var place = 0
        while count &- place >= word.count {
            guard let found = memchr(start + place, Int32(word[0]), count &- place &- word.count &+ 1) else {
                return false
            }
            if memcmp(found, wanted, word.count) == 0 { return true }
            place = UnsafeRawPointer(found) - UnsafeRawPointer(start) + 1
        }
        return false
    }

    /// `\u00`, with which ASCII characters are escaped that need not be.
    fileprivate var hasPlainEscape: Bool {
        let escape: StaticString = "\\u00"
        return escape.withUTF8Buffer { contains(sequence: $0) }
    }
}
