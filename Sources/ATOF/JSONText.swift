/// Questions about JSON text that its first bytes answer.
enum JSONText {
    /// White space between the tokens of JSON.
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

    static func isNull(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = text.firstIndex(where: { !isSpace($0) }), text[start] == UInt8(ascii: "n") else {
            return false
        }
        let end = text[start...].firstIndex(where: isSpace) ?? text.endIndex
        return text[start..<end].elementsEqual("null".utf8) && text[end...].allSatisfy(isSpace)
    }
}
