/// An instant in UTC with nanosecond resolution (`atif-trajectories.md` 1.2).
package struct EventTime: Sendable, Hashable, Comparable {
    /// Since 1970-01-01T00:00:00Z, negative before.
    package let seconds: Int64
    /// 0 to 999,999,999, counted forward from `seconds`.
    package let nanoseconds: UInt32

    /// The years 0000 to 9999: what RFC 3339 can write.
    private static let representableSeconds: ClosedRange<Int64> = -62_167_219_200...253_402_300_799

    /// - Returns: nil when `nanoseconds` is a second or more, or the year is not one of 0 to 9999.
    package init?(seconds: Int64, nanoseconds: UInt32) {
        guard nanoseconds < 1_000_000_000, EventTime.representableSeconds.contains(seconds) else { return nil }
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    private init(checkedSeconds seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// For numbers of our own; what a producer sent may be out of range, see `init(seconds:nanoseconds:)`.
    package init(epochMicroseconds: Int64) {
        let (seconds, rest) = EventTime.floorDivide(epochMicroseconds, 1_000_000)
        self.init(checkedSeconds: seconds, nanoseconds: UInt32(rest) * 1000)
    }

    /// From OTLP's and the server's form of time; all of its values are in range.
    package init(epochNanoseconds: UInt64) {
        self.init(
            checkedSeconds: Int64(epochNanoseconds / 1_000_000_000),
            nanoseconds: UInt32(epochNanoseconds % 1_000_000_000))
    }

    /// Nanoseconds since 1970 as OTLP has them; nil before 1970 and after 2554.
    package var epochNanoseconds: UInt64? {
        guard seconds >= 0, seconds < 18_446_744_073 else { return nil }
        return UInt64(seconds) * 1_000_000_000 + UInt64(nanoseconds)
    }

    /// Seconds since 1970, floored to milliseconds.
    package var epochSecondsInMilliseconds: Double {
        (Double(seconds) * 1000 + Double(nanoseconds / 1_000_000)) / 1000
    }

    package static func < (left: EventTime, right: EventTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        var (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        if remainder < 0 {
            quotient -= 1
            remainder += divisor
        }
        return (quotient, remainder)
    }
}

// MARK: RFC 3339

extension EventTime {
    /// Reads an RFC 3339 text: `T`, `t` or a space between date and time, `Z`, `z` or `±HH:MM`, any number of fraction digits, of
    /// which nine count. A leap second is the first instant of the next minute.
    package init?(rfc3339 text: String) {
        var scanner = Scanner(bytes: Array(text.utf8))
        guard let year = scanner.number(digits: 4), scanner.take("-"),
            let month = scanner.number(digits: 2), (1...12).contains(month), scanner.take("-"),
            let day = scanner.number(digits: 2), day >= 1, day <= EventTime.days(inMonth: month, of: year),
            scanner.take("T") || scanner.take("t") || scanner.take(" "),
            let hour = scanner.number(digits: 2), hour < 24, scanner.take(":"),
            let minute = scanner.number(digits: 2), minute < 60, scanner.take(":"),
            let second = scanner.number(digits: 2), second <= 60
        else { return nil }
        var nanoseconds: UInt32 = 0
        if scanner.take(".") {
            guard let fraction = scanner.fraction() else { return nil }
            nanoseconds = fraction
        }
        var offset = 0
        if !(scanner.take("Z") || scanner.take("z")) {
            let negative = scanner.take("-")
            guard negative || scanner.take("+"),
                let hours = scanner.number(digits: 2), hours < 24, scanner.take(":"),
                let minutes = scanner.number(digits: 2), minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (negative ? -60 : 60)
        }
        guard scanner.isAtEnd else { return nil }
        let days = EventTime.daysSinceEpoch(year: year, month: month, day: day)
        let seconds = days * 86400 + Int64(hour * 3600 + minute * 60 + second - offset)
        self.init(seconds: seconds, nanoseconds: nanoseconds)
    }

    /// The written form of ATOF: UTC with suffix `+00:00` and 0, 3, 6 or 9 fraction digits, the fewest that lose nothing.
    package var rfc3339: String { String(knownUTF8Capacity: EventTime.textCapacity) { write(to: $0) } }

    /// Bytes of the longest written form: of a year that RFC 3339 cannot write, which only numbers of our own have, all digits are
    /// written.
    static let textCapacity = 31 + 20

    /// - Parameter buffer: has room for the written form.
    /// - Returns: its bytes.
    func write(to buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let (days, secondOfDay) = EventTime.floorDivide(seconds, 86400)
        let (year, month, day) = EventTime.date(daysSinceEpoch: days)
        let fraction =
            nanoseconds == 0
            ? (0, 0)
            : nanoseconds % 1_000_000 == 0
                ? (Int(nanoseconds / 1_000_000), 3)
                : nanoseconds % 1000 == 0 ? (Int(nanoseconds / 1000), 6) : (Int(nanoseconds), 9)
        var writer = DigitWriter(buffer: buffer)
        if (0...9999).contains(year) {
            writer.write(year, digits: 4, "-")
        } else {
            writer.write("\(year)-")
        }
        writer.write(month, digits: 2, "-")
        writer.write(day, digits: 2, "T")
        writer.write(Int(secondOfDay / 3600), digits: 2, ":")
        writer.write(Int(secondOfDay / 60 % 60), digits: 2, ":")
        writer.write(Int(secondOfDay % 60), digits: 2, fraction.1 == 0 ? "+" : ".")
        if fraction.1 > 0 { writer.write(fraction.0, digits: fraction.1, "+") }
        writer.write(0, digits: 2, ":")
        writer.write(0, digits: 2)
        return writer.count
    }

    /// Writes numbers of a fixed width, each with what follows it.
    private struct DigitWriter {
        let buffer: UnsafeMutableBufferPointer<UInt8>
        var count = 0

        mutating func write(_ text: String) {
            for byte in text.utf8 {
                buffer[count] = byte
                count += 1
            }
        }

        mutating func write(_ number: Int, digits: Int, _ separator: Unicode.Scalar? = nil) {
            var rest = number
            for index in stride(from: count + digits - 1, through: count, by: -1) {
                buffer[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            count += digits
            guard let separator else { return }
            buffer[count] = UInt8(ascii: separator)
            count += 1
        }
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that a leap day is a year's last.
    private static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floorDivide(Int64(year), 400)
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func date(daysSinceEpoch days: Int64) -> (year: Int, month: Int, day: Int) {
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }

    private struct Scanner {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { index == bytes.count }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
            index += 1
            return true
        }

        mutating func digit() -> Int? {
            guard index < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) else {
                return nil
            }
            defer { index += 1 }
            return Int(bytes[index] - UInt8(ascii: "0"))
        }

        mutating func number(digits: Int) -> Int? {
            var number = 0
            for _ in 0..<digits {
                guard let digit = digit() else { return nil }
                number = number * 10 + digit
            }
            return number
        }

        mutating func fraction() -> UInt32? {
            var nanoseconds: UInt32 = 0
            var count = 0
            while let digit = digit() {
                if count < 9 { nanoseconds = nanoseconds * 10 + UInt32(digit) }
                count += 1
            }
            guard count > 0 else { return nil }
            for _ in 0..<max(0, 9 - count) { nanoseconds *= 10 }
            return nanoseconds
        }
    }
}
