/// The identity of a scope or mark: 128 bits, in the order in which they are written.
public struct EventUUID: Sendable, Hashable, Comparable {
    /// The first eight bytes as a number.
    public let high: UInt64
    /// The last eight bytes as a number; they become the id of a span.
    public let low: UInt64

    /// The identity whose bytes are these two numbers, the highest first.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Returns: nil unless there are 16 bytes.
    public init?(bytes: some RandomAccessCollection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            if index < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
        }
        self.init(high: high, low: low)
    }

    /// Accepts the hyphenated form in any case, 32 hexadecimal digits, `{…}` and `urn:uuid:…`
    /// (`atif-trajectories.md` 1.1).
    public init?(_ text: String) {
        var digits = text.utf8[...]
        if digits.starts(with: "urn:uuid:".utf8) {
            digits = digits.dropFirst(9)
            guard digits.count == 36 else { return nil }
        } else if digits.first == UInt8(ascii: "{"), digits.last == UInt8(ascii: "}") {
            digits = digits.dropFirst().dropLast()
            guard digits.count == 36 else { return nil }
        }
        let hyphenated = digits.count == 36
        guard hyphenated || digits.count == 32 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        for (index, byte) in digits.enumerated() {
            if hyphenated && (index == 8 || index == 13 || index == 18 || index == 23) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            if count < 16 { high = high << 4 | UInt64(digit) } else { low = low << 4 | UInt64(digit) }
            count += 1
        }
        self.init(high: high, low: low)
    }

    package var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(16)
        result.append(self)
        return result
    }

    /// In the order of their bytes: those of version 7 in the order of their milliseconds.
    public static func < (left: EventUUID, right: EventUUID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension EventUUID: CustomStringConvertible {
    /// Lower-case, hyphenated.
    public var description: String {
        String(knownUTF8Capacity: EventUUID.textCount) { buffer in
            write(to: UnsafeMutableRawBufferPointer(buffer))
            return EventUUID.textCount
        }
    }

    /// Bytes of the description.
    static let textCount = 36

    /// - Parameter raw: has room for the description.
    func write(to raw: UnsafeMutableRawBufferPointer) {
        let (second, third) = (EventUUID.digits(high), EventUUID.digits(low >> 32))
        raw.storeBytes(of: EventUUID.digits(high >> 32), as: UInt64.self)
        raw[8] = UInt8(ascii: "-")
        raw.storeBytes(of: UInt32(truncatingIfNeeded: second), toByteOffset: 9, as: UInt32.self)
        raw[13] = UInt8(ascii: "-")
        raw.storeBytes(of: UInt32(truncatingIfNeeded: second >> 32), toByteOffset: 14, as: UInt32.self)
        raw[18] = UInt8(ascii: "-")
        raw.storeBytes(of: UInt32(truncatingIfNeeded: third), toByteOffset: 19, as: UInt32.self)
        raw[23] = UInt8(ascii: "-")
        raw.storeBytes(of: UInt32(truncatingIfNeeded: third >> 32), toByteOffset: 24, as: UInt32.self)
        raw.storeBytes(of: EventUUID.digits(low), toByteOffset: 28, as: UInt64.self)
    }

    /// The eight hexadecimal digits of the lower half of a word, the first in the lowest byte: all at once, because there are many
    /// identifiers in what is exported.
    private static func digits(_ word: UInt64) -> UInt64 {
        var nibbles = word & 0xFFFF_FFFF
        nibbles = (nibbles << 16 | nibbles) & 0x0000_FFFF_0000_FFFF
        nibbles = (nibbles << 8 | nibbles) & 0x00FF_00FF_00FF_00FF
        nibbles = (nibbles << 4 | nibbles) & 0x0F0F_0F0F_0F0F_0F0F
        // Six more than ten or more has a fifth bit.
        let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        let toLetter = UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)
        return (nibbles &+ 0x3030_3030_3030_3030 &+ letters &* toLetter).byteSwapped.littleEndian
    }
}
