/// Builds an OTLP export request around packed items, in one buffer of exactly the right size.
///
/// The field numbers are those of ExportTraceServiceRequest; logs and metrics have the same ones:
/// `1 {resource = 1, 2 {scope = 1, item = 2, …}}`.
package struct OTLPRequestFraming: Sendable {
    /// A packed Resource, of all items that name no other.
    package let resource: [UInt8]
    /// A packed InstrumentationScope.
    package let scope: [UInt8]

    package init(resource: [UInt8], scope: [UInt8]) {
        self.resource = resource
        self.scope = scope
    }

    /// Items that follow one another and belong to one resource.
    private struct Group {
        let resource: [UInt8]
        let items: ArraySlice<ExportItem>
        let scopeSize: Int
        let size: Int
    }

    /// The body of a request that carries the items in their order.
    package func request(for items: [ExportItem]) -> [UInt8] {
        let groups = groups(items)
        let size = groups.reduce(0) { $0 + Self.fieldSize($1.size) }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            var writer = FieldWriter(buffer: UnsafeMutableRawBufferPointer(buffer))
            for group in groups {
                writer.writeHead(of: 1, size: group.size)
                writer.write(1, group.resource)
                writer.writeHead(of: 2, size: group.scopeSize)
                writer.write(1, scope)
                for item in group.items { writer.write(2, item.bytes) }
            }
            count = writer.count
        }
    }

    /// At least one.
    private func groups(_ items: [ExportItem]) -> [Group] {
        var groups: [Group] = []
        var rest = items[...]
        repeat {
            let own = rest.first?.resource
            let slice = rest.prefix { $0.resource == own }
            let scopeSize = slice.reduce(Self.fieldSize(scope.count)) { $0 + $1.framedSize }
            let resource = own ?? resource
            groups.append(
                Group(
                    resource: resource, items: slice, scopeSize: scopeSize,
                    size: Self.fieldSize(resource.count) + Self.fieldSize(scopeSize)))
            rest = rest[slice.endIndex...]
        } while !rest.isEmpty
        return groups
    }

    /// Bytes of a length-delimited field with a field number below 16.
    static func fieldSize(_ count: Int) -> Int {
        // Seven bits of the length in each byte.
        let lengthBits = Int.bitWidth - (count | 1).leadingZeroBitCount
        return 1 + (lengthBits + 6) / 7 + count
    }
}

/// Writes length-delimited fields into a buffer that is known to be large enough.
private struct FieldWriter {
    let buffer: UnsafeMutableRawBufferPointer
    var count = 0

    mutating func writeHead(of field: UInt8, size: Int) {
        append(field << 3 | 2)
        var rest = UInt(size)
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    mutating func write(_ field: UInt8, _ bytes: [UInt8]) {
        writeHead(of: field, size: bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyBytes(from: bytes)
        count += bytes.count
    }

    private mutating func append(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
    }
}
