internal import ATOF

extension SnapshotWriter {
    mutating func write(_ attributes: [Attribute]) {
        write(attributes.count)
        for attribute in attributes {
            write(attribute.key)
            write(attribute.value)
        }
    }

    private mutating func write(_ value: AttributeValue) {
        switch value {
        case .string(let text): write(0, [text]) { $0.write($1) }
        case .bool(let flag): write(1, [flag]) { $0.write(UInt64($1 ? 1 : 0)) }
        case .int(let number): write(2, [number]) { $0.write(UInt64(bitPattern: $1)) }
        case .double(let number): write(3, [number]) { $0.write($1.bitPattern) }
        case .strings(let texts): write(4, texts) { $0.write($1) }
        case .bools(let flags): write(5, flags) { $0.write(UInt64($1 ? 1 : 0)) }
        case .ints(let numbers): write(6, numbers) { $0.write(UInt64(bitPattern: $1)) }
        case .doubles(let numbers): write(7, numbers) { $0.write($1.bitPattern) }
        }
    }

    private mutating func write<Element>(
        _ kind: UInt64, _ elements: [Element], _ body: (inout SnapshotWriter, Element) -> Void
    ) {
        write(kind)
        write(elements.count)
        for element in elements { body(&self, element) }
    }
}

extension SnapshotReader {
    mutating func readAttributes() throws(SnapshotError) -> [Attribute] {
        var attributes: [Attribute] = []
        for _ in 0..<(try readCount()) {
            let key = try readText()
            attributes.append(Attribute(key, try readAttributeValue()))
        }
        return attributes
    }

    private mutating func readAttributeValue() throws(SnapshotError) -> AttributeValue {
        let kind = try readNumber()
        let count = try readCount()
        let isArray = kind >= 4
        guard isArray || count == 1 else { throw SnapshotError("an attribute of the snapshot has no value") }
        switch kind {
        case 0, 4:
            var texts: [String] = []
            for _ in 0..<count { texts.append(try readText()) }
            return isArray ? .strings(texts) : .string(texts[0])
        case 1, 5:
            let flags = try readNumbers(count).map { $0 == 1 }
            return isArray ? .bools(flags) : .bool(flags[0])
        case 2, 6:
            let numbers = try readNumbers(count).map { Int64(bitPattern: $0) }
            return isArray ? .ints(numbers) : .int(numbers[0])
        case 3, 7:
            let numbers = try readNumbers(count).map { Double(bitPattern: $0) }
            return isArray ? .doubles(numbers) : .double(numbers[0])
        default: throw SnapshotError("an attribute of the snapshot is of no known kind")
        }
    }

    private mutating func readNumbers(_ count: Int) throws(SnapshotError) -> [UInt64] {
        var numbers: [UInt64] = []
        for _ in 0..<count { numbers.append(try readNumber()) }
        return numbers
    }
}
