extension String {
    /// The first whole characters that take at most so many bytes: a text of combining marks is one character without a bound.
    package func prefix(utf8Count: Int) -> String {
        if utf8.count <= utf8Count { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: utf8Count)
        while end > startIndex, end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
