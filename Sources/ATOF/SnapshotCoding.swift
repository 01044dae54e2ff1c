/// Writes the state of a machine as a compact sequence of fields. `SnapshotReader` reads them in the same order.
package struct SnapshotWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    /// Begins with the version, which the reader checks.
    package init(version: UInt8) { bytes.append(version) }

    /// A number, in as few bytes as it needs.
    package mutating func write(_ number: UInt64) {
        var number = number
        while number >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: number) | 0x80)
            number >>= 7
        }
        bytes.append(UInt8(number))
    }

    /// How many things follow; never negative.
    package mutating func write(_ count: Int) { write(UInt64(count)) }

    /// The 16 bytes of a UUID.
    package mutating func write(_ uuid: EventUUID) { bytes.append(contentsOf: uuid.bytes) }

    /// Bytes behind their number.
    package mutating func write(_ blob: [UInt8]) {
        write(blob.count)
        bytes.append(contentsOf: blob)
    }

    /// Fields that were written by another writer.
    package mutating func append(_ fields: some Sequence<UInt8>) { bytes.append(contentsOf: fields) }

    package mutating func write(_ text: String) { write(Array(text.utf8)) }

    package mutating func write(_ reference: EventReference) {
        write(reference.sequence)
        write(UInt64(reference.index))
    }

    /// A flag, and the value if there is one.
    package mutating func write<Value>(_ value: Value?, _ body: (inout SnapshotWriter, Value) -> Void) {
        write(value == nil ? UInt64(0) : 1)
        if let value { body(&self, value) }
    }
}

/// A snapshot that cannot be read: written by another version, or damaged.
package struct SnapshotError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Reads what a `SnapshotWriter` wrote, field by field; damage is an error, never a crash.
package struct SnapshotReader: Sendable {
    private let bytes: [UInt8]
    private var index = 0

    /// - Throws: `SnapshotError` for another version.
    package init(_ bytes: [UInt8], version: UInt8) throws(SnapshotError) {
        guard bytes.first == version else {
            throw SnapshotError(
                "the snapshot has version \(bytes.first.map(String.init) ?? "none"), this build reads \(version)")
        }
        self.bytes = bytes
        index = 1
    }

    private mutating func take(_ count: Int) throws(SnapshotError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - index else {
            throw SnapshotError("the snapshot ends early, at byte \(index)")
        }
        defer { index += count }
        return bytes[index..<index + count]
    }

    /// Reads a number; each of these throws `SnapshotError` when the bytes are something else.
    package mutating func readNumber() throws(SnapshotError) -> UInt64 {
        var number: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            // The tenth byte has room for one bit.
            guard let byte = try take(1).first, shift < 63 || (shift == 63 && byte <= 1) else {
                throw SnapshotError("a number of the snapshot is too long")
            }
            number |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return number }
            shift += 7
        }
    }

    /// Reads a number that was counted up and goes on being counted; what no counter reaches is damage.
    package mutating func readTally() throws(SnapshotError) -> UInt64 {
        let number = try readNumber()
        guard number < 1 << 56 else { throw SnapshotError("a counter of the snapshot is out of range") }
        return number
    }

    /// Reads a number of things that follow, at most one a byte.
    package mutating func readCount() throws(SnapshotError) -> Int {
        // Everything that is counted takes at least a byte.
        guard let count = Int(exactly: try readNumber()), count <= bytes.count - index else {
            throw SnapshotError("a count of the snapshot is out of range")
        }
        return count
    }

    package mutating func readUUID() throws(SnapshotError) -> EventUUID {
        guard let uuid = EventUUID(bytes: try take(16)) else {
            throw SnapshotError("a UUID of the snapshot is damaged")
        }
        return uuid
    }

    package mutating func readBlob() throws(SnapshotError) -> [UInt8] {
        let count = try readCount()
        return Array(try take(count))
    }

    package mutating func readText() throws(SnapshotError) -> String {
        String(decoding: try readBlob(), as: UTF8.self)
    }

    package mutating func readReference() throws(SnapshotError) -> EventReference {
        let sequence = try readNumber()
        guard let index = Int(exactly: try readNumber()) else {
            throw SnapshotError("an index of the snapshot is out of range")
        }
        return EventReference(sequence: sequence, index: index)
    }

    /// Reads a flag, and the value if there is one.
    package mutating func readOptional<Value>(
        _ body: (inout SnapshotReader) throws(SnapshotError) -> Value
    ) throws(SnapshotError) -> Value? {
        try readNumber() == 0 ? nil : try body(&self)
    }

    /// - Throws: when there is more than was read.
    package func end() throws(SnapshotError) {
        guard index == bytes.count else {
            throw SnapshotError("the snapshot has \(bytes.count - index) bytes too many")
        }
    }
}
