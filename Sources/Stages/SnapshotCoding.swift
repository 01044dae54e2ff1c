package import ATOF

/// Writes the state of a machine as a compact sequence of fields. `SnapshotReader` reads them in the same order.
package struct SnapshotWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(version: UInt8) { bytes.append(version) }

    package mutating func write(_ number: UInt64) {
        var number = number
        while number >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: number) | 0x80)
            number >>= 7
        }
        bytes.append(UInt8(number))
    }

    package mutating func write(_ count: Int) { write(UInt64(count)) }

    package mutating func write(_ uuid: EventUUID) { bytes.append(contentsOf: uuid.bytes) }

    package mutating func write(_ blob: [UInt8]) {
        write(blob.count)
        bytes.append(contentsOf: blob)
    }

    package mutating func write(_ text: String) { write(Array(text.utf8)) }
}

/// A snapshot that cannot be read: written by another version, or damaged.
package struct SnapshotError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

package struct SnapshotReader: Sendable {
    private let bytes: [UInt8]
    private var index = 0

    package init(_ bytes: [UInt8], version: UInt8) throws(SnapshotError) {
        guard bytes.first == version else {
            throw SnapshotError("the snapshot has version \(bytes.first.map(String.init) ?? "none"), this build reads \(version)")
        }
        self.bytes = bytes
        index = 1
    }

    package var isAtEnd: Bool { index == bytes.count }

    private mutating func take(_ count: Int) throws(SnapshotError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - index else { throw SnapshotError("the snapshot ends early, at byte \(index)") }
        defer { index += count }
        return bytes[index..<index + count]
    }

    package mutating func readNumber() throws(SnapshotError) -> UInt64 {
        var number: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard let byte = try take(1).first, shift < 64 else { throw SnapshotError("a number of the snapshot is too long") }
            number |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return number }
            shift += 7
        }
    }

    package mutating func readCount() throws(SnapshotError) -> Int {
        guard let count = Int(exactly: try readNumber()) else { throw SnapshotError("a count of the snapshot is out of range") }
        return count
    }

    package mutating func readUUID() throws(SnapshotError) -> EventUUID {
        guard let uuid = EventUUID(bytes: try take(16)) else { throw SnapshotError("a UUID of the snapshot is damaged") }
        return uuid
    }

    package mutating func readBlob() throws(SnapshotError) -> [UInt8] {
        let count = try readCount()
        return Array(try take(count))
    }

    package mutating func readText() throws(SnapshotError) -> String {
        String(decoding: try readBlob(), as: UTF8.self)
    }
}
