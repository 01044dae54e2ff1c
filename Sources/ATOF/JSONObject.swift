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

    /// Where a key is, or would have to be.
    private func place(of key: String) -> (index: Int, isPresent: Bool) {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if JSONObject.precedes(members[middle].key, key) { low = middle + 1 } else { high = middle }
        }
        return (low, low < members.count && JSONObject.equals(members[low].key, key))
    }

    /// Order by UTF-8 bytes. Swift's own order of strings treats canonically equivalent texts as equal, JSON does not.
    static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    static func equals(_ left: String, _ right: String) -> Bool {
        left.utf8.elementsEqual(right.utf8)
    }
}

extension JSONObject: Sequence {
    package func makeIterator() -> IndexingIterator<[Member]> { members.makeIterator() }
}
