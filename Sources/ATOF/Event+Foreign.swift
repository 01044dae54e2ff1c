extension Event {
    /// Whether the packed form has bytes that no reader of this schema sees: fields that it does not know, fields that another one of the
    /// same number replaces, a root that `process` did not write.
    ///
    /// What looks at an event's fields has not looked at these; an event that is packed anew has none of them.
    package var hasForeignBytes: Bool {
        packed.withBytes { bytes in
            PackedFieldCount.isForeign(bytes) { number, content in
                switch number {
                // Kind and phase.
                case 1, 2: content == nil
                case 3, 4, 13: content?.count == 16
                case 5: content.map { !PackedFieldCount.isForeign($0) { $1 == nil && (1...2).contains($0) } } ?? false
                case 9: content.map { !PackedFieldCount.isForeign($0) { $1 != nil && (1...2).contains($0) } } ?? false
                case 6...8, 10...12, 14, 15: content != nil
                default: false
                }
            }
        }
    }
}

extension PackedFieldCount {
    /// Whether a message has a field that is not known, or one twice; attributes (8) may be there often.
    fileprivate static func isForeign(
        _ bytes: UnsafeBufferPointer<UInt8>, isKnown: (UInt64, UnsafeBufferPointer<UInt8>?) -> Bool
    ) -> Bool {
        var message = PackedFieldCount(bytes)
        var seen: UInt32 = 0
        while let field = message.next() {
            guard field.number < 32, isKnown(field.number, field.content) else { return true }
            let bit: UInt32 = 1 << UInt32(field.number)
            if seen & bit != 0, field.number != 8 { return true }
            seen |= bit
        }
        return !message.isAtEnd
    }
}
