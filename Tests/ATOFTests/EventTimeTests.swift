import ATOF
import Testing

@Suite("Event time")
struct EventTimeTests {
    @Test(
        "reads RFC 3339 and writes it in UTC with the fewest digits",
        arguments: [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
            ("2026-01-01t00:00:00z", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01 00:00:00+00:00", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01T01:30:00+01:30", "2026-01-01T00:00:00+00:00"),
            ("2025-12-31T18:15:00-05:45", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.100+00:00"),
            ("2026-01-01T00:00:00.010Z", "2026-01-01T00:00:00.010+00:00"),
            ("2026-01-01T00:00:00.0001Z", "2026-01-01T00:00:00.000100+00:00"),
            ("2026-01-01T00:00:00.880524616Z", "2026-01-01T00:00:00.880524616+00:00"),
            ("2026-01-01T00:00:00.8805246169999999999Z", "2026-01-01T00:00:00.880524616+00:00"),
            ("2026-01-01T00:00:00.000000000Z", "2026-01-01T00:00:00+00:00"),
            ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00+00:00"),
            ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00+00:00"),
            ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00+00:00"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999+00:00"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00+00:00"),
            ("0000-02-29T00:00:00Z", "0000-02-29T00:00:00+00:00"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999+00:00"),
        ])
    func accepted(text: String, written: String) throws {
        let time = try #require(EventTime(rfc3339: text))
        #expect(time.rfc3339 == written)
        #expect(EventTime(rfc3339: written) == time)
    }

    @Test(
        "rejects what RFC 3339 does not allow",
        arguments: [
            "", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00+0000", "2026-01-01T00:00:00+00",
            "2026-01-01T00:00Z",
            "2026-01-01T0:00:00Z", "2026-1-01T00:00:00Z", "26-01-01T00:00:00Z", "2026-01-01_00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00,5Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60", "2026-01-01T00:00:00Z ",
            " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00ZZ", "+2026-01-01T00:00:00Z", "-026-01-01T00:00:00Z",
            "2026-01-01T00:00:00−05:00", "２026-01-01T00:00:00Z", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:60Z",
            "9999-12-31T23:59:59-00:01", "1767225600",
        ])
    func rejected(text: String) {
        #expect(EventTime(rfc3339: text) == nil)
    }

    @Test(
        "counts microseconds forward from the second, also before 1970",
        arguments: [
            (0, 0, 0, "1970-01-01T00:00:00+00:00"),
            (1_767_225_600_000_001, 1_767_225_600, 1000, "2026-01-01T00:00:00.000001+00:00"),
            (-1, -1, 999_999_000, "1969-12-31T23:59:59.999999+00:00"), (-1_000_000, -1, 0, "1969-12-31T23:59:59+00:00"),
            (-1_500_000, -2, 500_000_000, "1969-12-31T23:59:58.500+00:00"),
        ] as [(Int64, Int64, UInt32, String)])
    func microseconds(number: Int64, seconds: Int64, nanoseconds: UInt32, text: String) {
        let time = EventTime(epochMicroseconds: number)
        #expect(time == EventTime(seconds: seconds, nanoseconds: nanoseconds))
        #expect(time.rfc3339 == text)
    }

    @Test("takes the years 0 to 9999 and less than a second of nanoseconds")
    func bounds() {
        #expect(EventTime(seconds: -62_167_219_200, nanoseconds: 0)?.rfc3339 == "0000-01-01T00:00:00+00:00")
        #expect(EventTime(seconds: -62_167_219_201, nanoseconds: 0) == nil)
        #expect(
            EventTime(seconds: 253_402_300_799, nanoseconds: 999_999_999)?.rfc3339
                == "9999-12-31T23:59:59.999999999+00:00")
        #expect(EventTime(seconds: 253_402_300_800, nanoseconds: 0) == nil)
        #expect(EventTime(seconds: .max, nanoseconds: 0) == nil)
        #expect(EventTime(seconds: .min, nanoseconds: 0) == nil)
        #expect(EventTime(seconds: 0, nanoseconds: 1_000_000_000) == nil)
    }

    @Test("does not trap on numbers that no calendar has", arguments: [Int64.min, Int64.max])
    func extremes(number: Int64) {
        #expect(!EventTime(epochMicroseconds: number).rfc3339.isEmpty)
    }

    @Test("converts to and from the nanoseconds of OTLP")
    func nanoseconds() {
        #expect(EventTime(epochNanoseconds: .max).epochNanoseconds == nil)
        let last: UInt64 = 18_446_744_072_999_999_999
        #expect(EventTime(epochNanoseconds: last).epochNanoseconds == last)
        #expect(EventTime(epochNanoseconds: 1_000_000_001).rfc3339 == "1970-01-01T00:00:01.000000001+00:00")
        #expect(EventTime(epochMicroseconds: -1).epochNanoseconds == nil)
    }

    @Test("floors seconds to milliseconds")
    func milliseconds() {
        #expect(EventTime(epochMicroseconds: 1_767_225_600_123_999).epochSecondsInMilliseconds == 1_767_225_600.123)
        #expect(EventTime(epochMicroseconds: -1).epochSecondsInMilliseconds == -0.001)
    }

    @Test("orders by time")
    func order() throws {
        let texts = [
            "1969-12-31T23:59:59.9Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:01Z",
        ]
        let times = try texts.map { try #require(EventTime(rfc3339: $0)) }
        #expect(times.reversed().sorted() == times)
    }

    @Test("reads back every day of the calendar")
    func days() {
        for day in stride(from: Int64(-719_528), through: 2_932_896, by: 97) {
            let time = EventTime(seconds: day * 86400 + 3661, nanoseconds: 0)
            #expect(time != nil && time == time.flatMap { EventTime(rfc3339: $0.rfc3339) })
        }
    }
}
