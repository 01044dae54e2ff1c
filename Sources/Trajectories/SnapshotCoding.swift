internal import ATOF

/// Why bytes are no snapshot of an assembler.
package enum SnapshotError: Error, Sendable, Hashable {
    /// Written by another version of the format.
    case version
    case malformed
}

/// Writes a snapshot: integers as base-128 varints, UUIDs as 16 bytes.
struct SnapshotWriter {
    static let version: UInt64 = 1
    private(set) var bytes: [UInt8] = []

    init() { write(SnapshotWriter.version) }

    mutating func write(_ integer: UInt64) {
        var integer = integer
        while integer >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: integer) | 0x80)
            integer >>= 7
        }
        bytes.append(UInt8(integer))
    }

    mutating func write(_ uuid: EventUUID) { bytes += uuid.bytes }

    mutating func write(_ reference: EventReference) {
        write(reference.sequence)
        write(UInt64(reference.index))
    }

    mutating func write(_ text: String?) {
        write(text.map { UInt64($0.utf8.count) + 1 } ?? 0)
        bytes += text.map { Array($0.utf8) } ?? []
    }
}

/// Reads what `SnapshotWriter` wrote.
struct SnapshotReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) throws(SnapshotError) {
        rest = bytes[...]
        guard try integer() == SnapshotWriter.version else { throw .version }
    }

    mutating func integer() throws(SnapshotError) -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = rest.popFirst() else { throw .malformed }
            result |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return result }
        }
        throw .malformed
    }

    /// The number of elements that follow, each of at least one byte.
    mutating func count() throws(SnapshotError) -> Int {
        guard let count = Int(exactly: try integer()), count <= rest.count else { throw .malformed }
        return count
    }

    mutating func uuid() throws(SnapshotError) -> EventUUID {
        guard let uuid = EventUUID(bytes: rest.prefix(16)) else { throw .malformed }
        rest = rest.dropFirst(16)
        return uuid
    }

    mutating func reference() throws(SnapshotError) -> EventReference {
        let sequence = try integer()
        guard let index = UInt32(exactly: try integer()) else { throw .malformed }
        return EventReference(sequence: sequence, index: index)
    }

    mutating func text() throws(SnapshotError) -> String? {
        let length = try integer()
        if length == 0 { return nil }
        guard length - 1 <= rest.count, let text = String(validating: rest.prefix(Int(length - 1)), as: UTF8.self) else {
            throw .malformed
        }
        rest = rest.dropFirst(Int(length - 1))
        return text
    }

    func end() throws(SnapshotError) {
        if !rest.isEmpty { throw .malformed }
    }
}
