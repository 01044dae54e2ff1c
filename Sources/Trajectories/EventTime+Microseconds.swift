internal import ATOF

extension EventTime {
    /// Without what is below a microsecond.
    var inMicroseconds: EventTime { EventTime(seconds: seconds, nanoseconds: nanoseconds / 1000 * 1000) ?? self }
}
