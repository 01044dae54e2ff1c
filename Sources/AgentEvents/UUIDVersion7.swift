package import ATOF

extension EventUUID {
    /// A UUID of version 7 (RFC 9562).
    ///
    /// - Parameters:
    ///   - random: 128 random bits, of which 74 are used.
    package init(version7 time: EventTime, random: (UInt64, UInt64)) {
        let milliseconds = UInt64(bitPattern: time.seconds &* 1000 &+ Int64(time.nanoseconds / 1_000_000))
        self.init(
            high: milliseconds << 16 | 0x7000 | random.0 & 0x0FFF,
            low: 0x8000_0000_0000_0000 | random.1 & 0x3FFF_FFFF_FFFF_FFFF)
    }
}
