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
    /// Looks for the first and the last byte of the word at once, 32 places at a time.
    fileprivate func contains(sequence word: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = word.first, let last = word.last, count >= word.count else { return word.isEmpty }
        let places = count - word.count + 1
        let bytes = UnsafeRawBufferPointer(self)
        let firsts = SIMD32<UInt8>(repeating: first)
        let lasts = SIMD32<UInt8>(repeating: last)
        var place = 0
        while place &+ 32 <= places {
            let heads = bytes.loadUnaligned(fromByteOffset: place, as: SIMD32<UInt8>.self)
            let tails = bytes.loadUnaligned(fromByteOffset: place &+ word.count &- 1, as: SIMD32<UInt8>.self)
            // Zero exactly where both bytes are those of the word.
            let differences = (heads ^ firsts) | (tails ^ lasts)
            if differences.min() == 0 {
                for candidate in place..<(place &+ 32) where matches(word, at: candidate) { return true }
            }
            place &+= 32
        }
        while place < places {
            if matches(word, at: place) { return true }
            place &+= 1
        }
        return false
    }

    private func matches(_ word: UnsafeBufferPointer<UInt8>, at place: Int) -> Bool {
        for offset in word.indices where self[place &+ offset] != word[offset] { return false }
        return true
    }

    /// `\u00`, with which ASCII characters are escaped that need not be.
    fileprivate var hasPlainEscape: Bool {
        let escape: StaticString = "\\u00"
        return escape.withUTF8Buffer { contains(sequence: $0) }
    }
}
