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

extension RawJSON {
    /// Whether a word may be somewhere without that text directly behind it: false is certain, as above.
    package func mayContain(_ word: StaticString, notFollowedBy text: StaticString) -> Bool {
        withBytes { bytes in
            word.withUTF8Buffer { word in
                text.withUTF8Buffer { text in
                    var start = 0
                    while let place = bytes.place(of: word, from: start) {
                        start = place + word.count
                        if !bytes[start...].starts(with: text) { return true }
                    }
                    return bytes.hasPlainEscape
                }
            }
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    func contains(sequence word: UnsafeBufferPointer<UInt8>) -> Bool { place(of: word, from: 0) != nil }

    /// Where a text begins for the first time at a place or behind it.
    fileprivate func place(of word: UnsafeBufferPointer<UInt8>, from first: Int) -> Int? {
        guard let start = baseAddress, let wanted = word.baseAddress else { return word.isEmpty ? first : nil }
        var place = first
        while count &- place >= word.count {
            guard let found = memchr(start + place, Int32(word[0]), count &- place &- word.count &+ 1) else {
                return nil
            }
            place = UnsafeRawPointer(found) - UnsafeRawPointer(start)
            if memcmp(found, wanted, word.count) == 0 { return place }
            place += 1
        }
        return nil
    }

    /// `\u00`, with which ASCII characters are escaped that need not be.
    fileprivate var hasPlainEscape: Bool {
        let escape: StaticString = "\\u00"
        return escape.withUTF8Buffer { contains(sequence: $0) }
    }
}
