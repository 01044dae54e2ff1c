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
    package var asciiLowercased: String {
        if !utf8.contains(where: { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }) { return self }
        let bytes = utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        return String(decoding: bytes, as: UTF8.self)
    }
}
