/// Reads the times that nats-server writes.
enum ServerTime {
    /// Nanoseconds since 1970 of an RFC 3339 time with up to nine fractional digits; `nil` if it is none, or beyond what 64 bits hold, as Go's
    /// zero time is.
    static func nanoseconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[range] {
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month),
            (1678...2261).contains(year)
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            let end = bytes[(index + 1)...].prefix { $0 >= 0x30 && $0 <= 0x39 }.endIndex
            guard end - index - 1 <= 9, let digits = number(index + 1..<end) else { return nil }
            fraction = (0..<(9 - (end - index - 1))).reduce(digits) { value, _ in value * 10 }
            index = end
        }
        var offset: Int64 = 0
        if bytes[index...] != [UInt8(ascii: "Z")] {
            guard index + 6 == bytes.count, let hours = number(index + 1..<index + 3),
                let minutes = number(index + 4..<index + 6)
            else { return nil }
            offset = (hours * 60 + minutes) * (bytes[index] == UInt8(ascii: "-") ? -60 : 60)
        }
        // Days from civil: years begin in March, so that the leap day is the last.
        let shifted = month > 2 ? year : year - 1
        let monthFromMarch = (month + 9) % 12
        let days =
            shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (monthFromMarch * 153 + 2) / 5 + day - 719_469
        return ((days * 24 + hour) * 60 + minute) * 60_000_000_000 + (second - offset) * 1_000_000_000 + fraction
    }
}
