/// The headers of a message: pairs of name and value, where a name may repeat.
///
/// Names are compared without regard to case, because servers may change it. Values of one name keep their order; cnats
/// does not keep the order of different names on received messages.
package struct NATSHeaders: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    package struct Pair: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    package private(set) var pairs: [Pair] = []

    package init() {}

    package init(dictionaryLiteral elements: (String, String)...) {
        pairs = elements.map { Pair(name: $0, value: $1) }
    }

    package var isEmpty: Bool { pairs.isEmpty }

    /// The first value of the name; setting replaces all its values.
    package subscript(name: String) -> String? {
        get { pairs.first { Self.same($0.name, name) }?.value }
        set {
            pairs.removeAll { Self.same($0.name, name) }
            if let newValue { pairs.append(Pair(name: name, value: newValue)) }
        }
    }

    /// Adds a value and keeps those there are.
    package mutating func add(_ name: String, _ value: String) {
        pairs.append(Pair(name: name, value: value))
    }

    /// Without the headers of these names.
    func removing(_ names: [String]) -> NATSHeaders {
        var kept = NATSHeaders()
        kept.pairs = pairs.filter { pair in !names.contains { Self.same($0, pair.name) } }
        return kept
    }

    /// Bytes that the block takes on the wire; 0 without headers.
    var encodedSize: Int {
        pairs.isEmpty ? 0 : pairs.reduce(12) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
    }

    /// A line break or a NUL in a header would let a value forge headers, a colon in a name would split it elsewhere.
    var isValid: Bool {
        pairs.allSatisfy { pair in
            !pair.name.isEmpty && pair.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
                && pair.value.utf8.allSatisfy { $0 != 0 && $0 != 0x0D && $0 != 0x0A }
        }
    }

    /// Reads a block as it is on the wire (`NATS/1.0`, then a line each); `nil` if it is none.
    init?(block: some Collection<UInt8>) {
        let lines = String(decoding: block, as: UTF8.self).split(separator: "\r\n")
        guard let version = lines.first, version.hasPrefix("NATS/1.0") else { return nil }
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            pairs.append(Pair(name: String(line[..<colon]), value: String(value)))
        }
    }

    private static func same(_ a: String, _ b: String) -> Bool {
        guard a.utf8.count == b.utf8.count else { return false }
        return zip(a.utf8, b.utf8).allSatisfy { lowered($0) == lowered($1) }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }
}
