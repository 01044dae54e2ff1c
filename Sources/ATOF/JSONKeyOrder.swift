/// The order of keys by their UTF-8 bytes. Swift's own order of strings treats canonically equivalent texts as equal, JSON does not.
enum JSONKeyOrder {
    /// The first eight bytes as a number that has their order, the rest zero: it orders most keys without their texts.
    static func head(of utf8: UnsafeBufferPointer<UInt8>) -> UInt64 {
        let raw = UnsafeRawBufferPointer(utf8)
        if raw.count >= 8 { return UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)) }
        if raw.count >= 4 {
            let first = UInt32(bigEndian: raw.loadUnaligned(as: UInt32.self))
            // The last four bytes, of which those that are among the first are shifted out.
            let last = UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: raw.count &- 4, as: UInt32.self))
            return UInt64(first) << 32 | UInt64(last << UInt32(8 &* (8 &- raw.count)))
        }
        var head: UInt64 = 0
        for byte in raw { head = head << 8 | UInt64(byte) }
        return raw.isEmpty ? 0 : head << UInt64(8 &* (8 &- raw.count))
    }

    /// - Returns: less than 0, 0 or more: how the first of two keys with the same head differs from the second.
    static func compareWithEqualHeads(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        let count = Swift.min(left.count, right.count)
        // Keys that are all head differ in nothing but zeros at the end.
        if left.count <= 8, right.count <= 8 { return left.count - right.count }
        let (first, second) = (UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right))
        var index = 0
        while index &+ 8 <= count {
            let one = UInt64(bigEndian: first.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let other = UInt64(bigEndian: second.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            if one != other { return one < other ? -1 : 1 }
            index &+= 8
        }
        while index < count {
            if first[index] != second[index] { return first[index] < second[index] ? -1 : 1 }
            index &+= 1
        }
        return left.count - right.count
    }

    /// - Returns: less than 0, 0 or more: how the first of any two keys differs from the second.
    static func compare(_ left: String, _ right: String) -> Int {
        left.withBorrowedUTF8 { left in
            right.withBorrowedUTF8 { right in
                let (one, other) = (head(of: left), head(of: right))
                return one == other ? compareWithEqualHeads(left, right) : one < other ? -1 : 1
            }
        }
    }
}
