/// The members of a JSON object, kept in the order of their keys' UTF-8 bytes: the order in which everything Skein writes has them.
package struct JSONObject: Sendable, Hashable {
    /// One key with its value.
    package struct Member: Sendable, Hashable {
        package let key: String
        package var value: JSONValue
    }

    package private(set) var members: [Member]

    package init() { members = [] }

    /// Of a repeated key the last value counts.
    package init(_ pairs: [(String, JSONValue)]) {
        self.init(unordered: pairs.map { Member(key: $0.0, value: $0.1) })
    }

    /// Takes members that are in ascending order of key bytes already, each key once.
    init(ascending members: [Member]) { self.members = members }

    init(unordered members: [Member]) {
        var sorted: [Member] = []
        sorted.reserveCapacity(members.count)
        // `sorted` is stable, so that of a repeated key the last value comes last and replaces the others.
        for member in members.sorted(by: { JSONObject.precedes($0.key, $1.key) }) {
            if let last = sorted.last, JSONObject.equals(last.key, member.key) { sorted.removeLast() }
            sorted.append(member)
        }
        self.members = sorted
    }

    package var isEmpty: Bool { members.isEmpty }
    package var count: Int { members.count }
    package var keys: [String] { members.map(\.key) }

    /// The value of a key, found in logarithmic time; setting nil removes the member.
    package subscript(key: String) -> JSONValue? {
        get {
            let (index, isPresent) = place(of: key)
            return isPresent ? members[index].value : nil
        }
        set {
            let (index, isPresent) = place(of: key)
            switch (newValue, isPresent) {
            case (let value?, true): members[index].value = value
            case (let value?, false): members.insert(Member(key: key, value: value), at: index)
            case (nil, true): members.remove(at: index)
            case (nil, false): break
            }
        }
    }

    /// Where a key is among `members`.
    package func index(of key: String) -> Int? {
        let (index, isPresent) = place(of: key)
        return isPresent ? index : nil
    }

    /// Where a key is, or would have to be.
    private func place(of key: String) -> (index: Int, isPresent: Bool) {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            let order = JSONObject.compare(members[middle].key, key)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    /// Order by UTF-8 bytes. Swift's own order of strings treats canonically equivalent texts as equal, JSON does not.
    static func precedes(_ left: String, _ right: String) -> Bool { compare(left, right) < 0 }

    static func equals(_ left: String, _ right: String) -> Bool { compare(left, right) == 0 }

    /// - Returns: less than 0, 0 or more: how the first differs from the second in that order.
    private static func compare(_ left: String, _ right: String) -> Int {
        let order = left.utf8.withContiguousStorageIfAvailable { left in
            right.utf8.withContiguousStorageIfAvailable { right in compare(left, right) }
        }
        if let order = order ?? nil { return order }
        // Texts that are not in one piece; the parser makes none.
        if left.utf8.elementsEqual(right.utf8) { return 0 }
        return left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
    }

    private static func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        let count = Swift.min(left.count, right.count)
        let (first, second) = (UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right))
        var index = 0
        while index &+ 8 <= count {
            let one = UInt64(bigEndian: first.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let other = UInt64(bigEndian: second.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            if one != other { return one < other ? -1 : 1 }
            index &+= 8
        }
        while index < count {
            if first[index] != second[index] { return first[index] < second[index] ? -1 : 1 }
            index &+= 1
        }
        return left.count - right.count
    }
}

extension JSONObject: Sequence {
    package func makeIterator() -> IndexingIterator<[Member]> { members.makeIterator() }
}
