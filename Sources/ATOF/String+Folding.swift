extension String {
    /// Without the white space of Unicode at both ends.
    package var trimmed: String {
        guard let first = utf8.first, let last = utf8.last else { return self }
        // The common case costs two comparisons: printable ASCII at both ends.
        if first > 0x20, first < 0x7F, last > 0x20, last < 0x7F { return self }
        let scalars = unicodeScalars
        guard let start = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let end = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[start...end])
    }

    /// With `a` to `z` for `A` to `Z` and everything else as it is.
    package var asciiLowercased: String { replacing(UInt8(ascii: "A")...UInt8(ascii: "Z")) }

    /// With `A` to `Z` for `a` to `z` and everything else as it is.
    package var asciiUppercased: String { replacing(UInt8(ascii: "a")...UInt8(ascii: "z")) }

    /// With the other case of the letters in a range.
    private func replacing(_ letters: ClosedRange<UInt8>) -> String {
        if !utf8.contains(where: letters.contains) { return self }
        return String(decoding: utf8.map { letters.contains($0) ? $0 ^ 0x20 : $0 }, as: UTF8.self)
    }
}
