/// Which parts of a run of base 64 are keys.
enum SecretRules {
    /// Forty characters: the whole run, what stands behind the sign in `NAME=…`, or a part between what the reference takes for edges of
    /// words.
    static func decideAWS(_ run: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> DetectorMatcher.Decision {
        if run.count == 40 { return .take(run) }
        var found: [Range<Int>] = []
        var start = run.lowerBound
        while start + 40 <= run.upperBound {
            if isEdge(start, in: text), isEdge(start + 40, in: text) {
                found.append(start..<start + 40)
                start += 40
            } else {
                start += 1
            }
        }
        // The sign is in no key, and a key may begin or end with a symbol.
        let sign = UInt8(ascii: "=")
        let tail = run.upperBound - 40
        if text[tail - 1] == sign, !text[tail..<run.upperBound].contains(sign) {
            let overlapping = found.last.flatMap { $0.upperBound > tail ? $0.lowerBound : nil }
            if overlapping != nil { found.removeLast() }
            found.append((overlapping ?? tail)..<run.upperBound)
        }
        return .init(found: found, resume: run.upperBound)
    }

    /// The 86 characters before `==`, as a run of their own or from the edge of a word on.
    static func decideAzure(_ run: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> DetectorMatcher.Decision {
        let start = run.upperBound - 88
        return start == run.lowerBound || isEdge(start, in: text)
            ? .take(start..<run.upperBound) : .refuse(resume: run.upperBound)
    }

    /// Whether a word may begin or end here. Letters beyond ASCII count as both words and none, so that nothing is missed.
    private static func isEdge(_ index: Int, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        let before = index > 0 ? text[index - 1] : 0x20
        let behind = index < text.count ? text[index] : 0x20
        return before >= 0x80 || behind >= 0x80 || TextBytes.isWord(before) != TextBytes.isWord(behind)
    }
}
