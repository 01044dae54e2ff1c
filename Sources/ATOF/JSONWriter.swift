/// Writes compact JSON text: no white space, keys in the order of their bytes, non-ASCII unescaped
/// (`otel-projections.md` 2.3).
package struct JSONWriter: ~Copyable {
    // Safe because the writer alone knows this memory, cannot be copied, and gives it back when it ends. Of the `capacity` bytes the
    // first `count` are written. An array would check its owner and its bounds for every byte.
    private var memory: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var count = 0
    /// Whether the memory is somebody else's, who outlives the writer.
    private var isLent = false

    /// Whether each member and element has a line of its own.
    let isIndented: Bool
    /// Of the next member or element, in an indented text.
    var level: Int
    /// Whether nothing is in the innermost open list yet.
    var isEmpty = true

    /// - Parameters:
    ///   - capacity: expected size of the text; more is taken when needed.
    ///   - level: how deep what is written is in a text with two spaces a level and a line for each member and element
    ///     (`atif-trajectories.md` 4.4); nil writes compact text.
    package init(capacity: Int = 1000, level: Int? = nil) {
        self.capacity = max(capacity, 1)
        memory = .allocate(capacity: self.capacity)
        isIndented = level != nil
        self.level = level ?? 0
    }

    private init(
        lent buffer: UnsafeMutableBufferPointer<UInt8>, at start: UnsafeMutablePointer<UInt8>, level: Int?
    ) {
        memory = start
        capacity = buffer.count
        isLent = true
        isIndented = level != nil
        self.level = level ?? 0
    }

    deinit { if !isLent { memory.deallocate() } }

    /// The text that `body` writes. It is written where it stays if it is no longer than expected; to expect too much costs
    /// addresses, but hardly any memory.
    ///
    /// - Parameter level: as for a writer.
    package static func bytes(
        expected: Int, level: Int? = nil, _ body: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var longer: [UInt8]?
        let bytes = [UInt8](unsafeUninitializedCapacity: max(expected, 1)) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            buffer.preferLargePages()
            var writer = JSONWriter(lent: buffer, at: start, level: level)
            body(&writer)
            if writer.isLent { count = writer.count } else { longer = writer.bytes }
        }
        return longer ?? bytes
    }

    /// A copy of what was written.
    package var bytes: [UInt8] { Array(written) }

    package var text: String { String(knownUTF8: written) }

    private var written: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: memory, count: count) }

    // MARK: Values

    /// Any value.
    package mutating func write(_ value: JSONValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): if flag { raw("true") } else { raw("false") }
        case .int(let number): write(number)
        case .unsigned(let number): write(number)
        case .double(let number): write(number)
        case .string(let text): write(text)
        case .array(let elements):
            beginArray()
            // By index, here and below: an iterator would copy each element, and so count its texts.
            for index in elements.indices {
                element()
                write(elements[index])
            }
            endArray()
        case .object(let object): write(object)
        }
    }

    /// An object with its members in their order.
    package mutating func write(_ object: JSONObject) {
        beginObject()
        for index in object.members.indices {
            key(object.members[index].key)
            write(object.members[index].value)
        }
        endObject()
    }

    /// The identity as a text.
    package mutating func write(_ uuid: EventUUID) {
        reserve(EventUUID.textCount + 2)
        put(UInt8(ascii: "\""))
        uuid.write(to: UnsafeMutableRawBufferPointer(start: memory + count, count: EventUUID.textCount))
        count &+= EventUUID.textCount
        put(UInt8(ascii: "\""))
    }

    /// The time as a text in its RFC 3339 form.
    package mutating func write(_ time: EventTime) {
        reserve(EventTime.textCapacity + 2)
        put(UInt8(ascii: "\""))
        count &+= time.write(to: UnsafeMutableBufferPointer(start: memory + count, count: EventTime.textCapacity))
        put(UInt8(ascii: "\""))
    }

    // MARK: Text

    /// A text as it stands: punctuation, or a value that is JSON already.
    package mutating func raw(_ text: StaticString) {
        append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Text that is JSON already.
    package mutating func raw(json: String) {
        json.withBorrowedUTF8 { append($0) }
    }

    /// A line feed and the spaces of the level, behind what ends the line before.
    mutating func newLine(after mark: UInt8? = nil) {
        let spaces = 2 * level
        // Eight spaces at a time, so there may be some too many; those are overwritten.
        reserve(2 + spaces + 8)
        if let mark { put(mark) }
        put(UInt8(ascii: "\n"))
        for place in stride(from: 0, to: spaces, by: 8) {
            UnsafeMutableRawPointer(memory + count + place).storeBytes(of: JSONWriter.spaces, as: UInt64.self)
        }
        count += spaces
    }

    /// One byte.
    mutating func append(_ byte: UInt8) {
        reserve(1)
        put(byte)
    }

    /// A string that needs no escapes.
    mutating func write(plain utf8: UnsafeBufferPointer<UInt8>) {
        reserve(utf8.count + 2)
        put(UInt8(ascii: "\""))
        if let base = utf8.baseAddress { (memory + count).update(from: base, count: utf8.count) }
        count &+= utf8.count
        put(UInt8(ascii: "\""))
    }

    /// A string with quotes and escapes.
    package mutating func write(_ text: String) {
        text.withBorrowedUTF8 { write(utf8: $0) }
    }

    /// A string with quotes and escapes, of bytes that are known to be UTF-8.
    mutating func write(utf8: UnsafeBufferPointer<UInt8>) {
        let raw = UnsafeRawBufferPointer(utf8)
        // Of a text without escapes this is all that is needed: most have none, so eight bytes are looked at together.
        reserve(raw.count + 2 + JSONWriter.escapesOfWord)
        put(UInt8(ascii: "\""))
        var index = 0
        while index &+ 8 <= raw.count {
            // Most of a long text is copied 32 bytes at a time.
            if index &+ 32 <= raw.count {
                let words = raw.loadUnaligned(fromByteOffset: index, as: SIMD4<UInt64>.self)
                let found =
                    JSONWriter.special(words[0]) | JSONWriter.special(words[1]) | JSONWriter.special(words[2])
                    | JSONWriter.special(words[3])
                if found == 0 {
                    UnsafeMutableRawPointer(memory + count).storeBytes(of: words, as: SIMD4<UInt64>.self)
                    count &+= 32
                    index &+= 32
                    continue
                }
            }
            let word = raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            if JSONWriter.special(word) != 0 {
                reserve(raw.count &- index &+ 2 &+ 2 &* JSONWriter.escapesOfWord)
                for byte in utf8[index..<index &+ 8] { putEscaped(byte) }
            } else {
                UnsafeMutableRawPointer(memory + count).storeBytes(of: word, as: UInt64.self)
                count &+= 8
            }
            index &+= 8
        }
        let rest = raw.count &- index
        if rest > 0, index > 0 {
            // The last bytes come with some before them, which make room for spaces behind: those are overwritten.
            let last = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: raw.count &- 8, as: UInt64.self))
            let word = last >> UInt64(64 &- 8 &* rest) | JSONWriter.spaces << UInt64(8 &* rest)
            if JSONWriter.special(word) == 0 {
                UnsafeMutableRawPointer(memory + count).storeBytes(of: word.littleEndian, as: UInt64.self)
                count &+= rest
                index = raw.count
            }
        }
        while index < raw.count {
            putEscaped(utf8[index])
            index &+= 1
        }
        put(UInt8(ascii: "\""))
    }

    /// What eight bytes take when each is escaped as a control character.
    private static let escapesOfWord = 48

    /// Not zero if one of eight bytes is a control character, a quote or a backslash: a subtraction in each byte sets its highest bit
    /// then, and nowhere below the first such byte.
    @inline(__always)
    private static func special(_ bytes: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = bytes ^ (ones &* 0x22)
        let slashes = bytes ^ (ones &* 0x5C)
        let found =
            ((bytes &- ones &* 0x20) & ~bytes) | ((quotes &- ones) & ~quotes) | ((slashes &- ones) & ~slashes)
        return found & (ones &* 0x80)
    }

    private static let spaces: UInt64 = 0x2020_2020_2020_2020

    /// Writes a byte, escaped if it has to be. There is room for that.
    @inline(__always)
    private mutating func putEscaped(_ byte: UInt8) {
        if byte >= 0x20, byte != 0x22, byte != 0x5C { put(byte) } else { putEscape(byte) }
    }

    private mutating func putEscape(_ byte: UInt8) {
        put(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: put(UInt8(ascii: "b"))
        case 0x09: put(UInt8(ascii: "t"))
        case 0x0A: put(UInt8(ascii: "n"))
        case 0x0C: put(UInt8(ascii: "f"))
        case 0x0D: put(UInt8(ascii: "r"))
        case 0x22, 0x5C: put(byte)
        default:
            put(UInt8(ascii: "u"))
            put(UInt8(ascii: "0"))
            put(UInt8(ascii: "0"))
            put(JSONWriter.hexDigit(byte >> 4))
            put(JSONWriter.hexDigit(byte & 15))
        }
    }

    private static func hexDigit(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }

    // MARK: Memory

    private mutating func append(_ utf8: UnsafeBufferPointer<UInt8>) {
        guard let base = utf8.baseAddress else { return }
        reserve(utf8.count)
        (memory + count).update(from: base, count: utf8.count)
        count &+= utf8.count
    }

    /// Writes a byte for which there is room.
    private mutating func put(_ byte: UInt8) {
        memory[count] = byte
        count &+= 1
    }

    /// Makes room for so many bytes.
    private mutating func reserve(_ more: Int) {
        if more > capacity &- count { grow(by: more) }
    }

    private mutating func grow(by more: Int) {
        // Of memory that is not written the kernel gives no pages, so a large step costs no more than a small one.
        capacity = max(4 * capacity, count + more)
        let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        grown.update(from: memory, count: count)
        if !isLent { memory.deallocate() }
        memory = grown
        isLent = false
    }

    // MARK: Numbers

    /// The digits of an integer.
    package mutating func write(_ number: Int64) {
        if number < 0 { raw("-") }
        write(number.magnitude)
    }

    /// The digits of a number without a sign.
    package mutating func write(_ number: UInt64) {
        var digits = 1
        var rest = number / 10
        while rest > 0 {
            digits &+= 1
            rest /= 10
        }
        reserve(digits)
        rest = number
        for index in (0..<digits).reversed() {
            memory[count &+ index] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count &+= digits
    }

    /// The shortest text that reads back as the same double: decimal for 1e-5 ≤ |x| < 1e16, else with an exponent.
    package mutating func write(_ number: Double) {
        guard number.isFinite else { return raw("null") }
        raw(json: JSONWriter.shortest(number))
    }

    private static func shortest(_ number: Double) -> String {
        let magnitude = abs(number)
        if magnitude == 0 || (magnitude >= 1e-3 && magnitude < 1e15) { return number.description }
        // Swift changes to exponents at other places, so the digits are taken from its text and set anew.
        let parts = magnitude.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var whole = Array(mantissa[0].utf8)
        let fraction = mantissa.count > 1 && mantissa[1] != "0" ? Array(mantissa[1].utf8) : []
        // The value is 0.DIGITS × 10^point.
        var point = whole.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        whole += fraction
        let zeros = whole.prefix { $0 == UInt8(ascii: "0") }.count
        whole.removeFirst(zeros)
        point -= zeros
        while whole.last == UInt8(ascii: "0") { whole.removeLast() }
        let digits = String(decoding: whole, as: UTF8.self)
        let sign = number < 0 ? "-" : ""
        if point > 16 || point < -4 {
            let exponent = point - 1
            let tail = digits.dropFirst()
            return
                "\(sign)\(digits.prefix(1))\(tail.isEmpty ? "" : ".\(tail)")e\(exponent < 0 ? "-" : "+")\(abs(exponent))"
        }
        if point <= 0 { return "\(sign)0.\(String(repeating: "0", count: -point))\(digits)" }
        if whole.count <= point { return "\(sign)\(digits)\(String(repeating: "0", count: point - whole.count)).0" }
        return "\(sign)\(digits.prefix(point)).\(digits.dropFirst(point))"
    }
}

extension JSONValue {
    /// The compact text of the value, `J(x)` of the specifications.
    package var compactText: String {
        var writer = JSONWriter()
        writer.write(self)
        return writer.text
    }
}

extension JSONObject {
    package var compactText: String { JSONValue.object(self).compactText }
}
