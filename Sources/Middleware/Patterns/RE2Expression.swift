internal import CRE2

/// A compiled expression in RE2's syntax. Immutable, so any number of threads may search with it.
final class RE2Expression: Sendable {
    // Safe to send: nothing changes in it but caches that RE2 guards.
    private nonisolated(unsafe) let handle: OpaquePointer

    /// What RE2 says about an expression that it does not take.
    struct Refusal: Error {
        let message: String
    }

    init(_ expression: String) throws(Refusal) {
        var expression = expression
        let compiled = expression.withUTF8 { skein_re2_compile($0.baseAddress, $0.count) }
        guard let compiled else { throw Refusal(message: "memory is out") }
        if let message = skein_re2_error(compiled) {
            let text = String(cString: message)
            skein_re2_destroy(compiled)
            throw Refusal(message: text)
        }
        handle = compiled
    }

    deinit { skein_re2_destroy(handle) }

    /// Whether there is a match at all.
    func matches(_ text: UnsafeBufferPointer<UInt8>, from start: Int = 0) -> Bool {
        skein_re2_search(handle, text.baseAddress, text.count, start, nil)
    }

    /// The leftmost match that does not start before `start`; what lies before is looked at by assertions only.
    func firstMatch(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Range<Int>? {
        var bounds = skein_re2_range()
        return skein_re2_search(handle, text.baseAddress, text.count, start, &bounds)
            ? Int(bounds.start)..<Int(bounds.end) : nil
    }

    /// The first `count` groups of a match that `firstMatch` found; the group 0 is the match.
    func groups(_ count: Int, of match: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> [Range<Int>?] {
        withUnsafeTemporaryAllocation(of: skein_re2_range.self, capacity: count) { ranges in
            ranges.initialize(repeating: skein_re2_range())
            let base = text.baseAddress
            guard
                skein_re2_groups(
                    handle, base, text.count, match.lowerBound, match.upperBound, ranges.baseAddress, Int32(count))
            else { return [match] + [Range<Int>?](repeating: nil, count: count - 1) }
            return ranges.map { $0.start < 0 ? nil : Int($0.start)..<Int($0.end) }
        }
    }
}
