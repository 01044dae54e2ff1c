extension [UInt8] {
    /// The text without the mark with which some editors begin a file; JSON may ignore it (RFC 8259, 8.1).
    package var withoutByteOrderMark: [UInt8] { starts(with: [0xEF, 0xBB, 0xBF]) ? Array(dropFirst(3)) : self }
}
