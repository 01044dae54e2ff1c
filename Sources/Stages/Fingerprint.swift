internal import ATOF

/// 128 bits that stand for a sequence of texts: FNV-1a, the same in every collector, whatever its version or machine. It is no secret and
/// keeps nobody from finding another text with the same value.
struct Fingerprint: Sendable, Hashable {
    private(set) var high: UInt64
    private(set) var low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Each text counts with its end: `["a", "b"]` and `["ab"]` differ.
    init(_ texts: String...) {
        var hash: UInt128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D
        let prime: UInt128 = 0x0000_0000_0100_0000_0000_0000_0000_013B
        for text in texts {
            for byte in text.utf8 { hash = (hash ^ UInt128(byte)) &* prime }
            // No byte of UTF-8.
            hash = (hash ^ 0xFF) &* prime
        }
        self.init(high: UInt64(truncatingIfNeeded: hash >> 64), low: UInt64(truncatingIfNeeded: hash))
    }

    /// A UUID of version 8, which is for values of one's own (RFC 9562, 5.8).
    var uuid: EventUUID {
        EventUUID(
            high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x8000, low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
    }
}
