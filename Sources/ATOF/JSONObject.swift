/// The members of a JSON object, kept in the order of their keys' UTF-8 bytes: the order in which everything Skein writes has them.
package struct JSONObject: Sendable, Hashable {
    /// One key with its value.
    package struct Member: Sendable {
        package let key: String
        package var value: JSONValue
        /// The first bytes of the key as a number, the rest zero: it orders most keys without their texts.
        fileprivate let head: UInt64

        init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
            head = key.withBorrowedUTF8(JSONKeyOrder.head)
        }

        /// - Parameter utf8: the bytes of the key, which are known to be UTF-8.
        init(key utf8: UnsafeBufferPointer<UInt8>, value: JSONValue) {
            key = String(knownUTF8: utf8)
            self.value = value
            head = JSONKeyOrder.head(of: utf8)
        }
    }

    package private(set) var members: [Member]

    package init() { members = [] }

    /// Of a repeated key the last value counts.
    package init(_ pairs: [(String, JSONValue)]) {
        self.init(unordered: pairs.map { Member(key: $0.0, value: $0.1) })
    }

    /// The pairs that have a value. Of a repeated key the last value counts.
    package init(present pairs: [(String, JSONValue?)]) {
        var members: [Member] = []
        members.reserveCapacity(pairs.count)
        for (key, value) in pairs {
            if let value { members.append(Member(key: key, value: value)) }
        }
        self.init(unordered: members)
    }

    /// Takes members that are in ascending order of key bytes already, each key once.
    init(ascending members: [Member]) { self.members = members }

    init(unordered members: [Member]) {
        self.members = members
        sort()
    }

    /// Brings the members into their order; of a repeated key the last one stays.
    private mutating func sort() {
        if members.count <= JSONObject.fewMembers {
            guard members.withUnsafeMutableBufferPointer(JSONObject.sortFew) else { return }
        } else if zip(members, members.dropFirst()).allSatisfy({ JSONObject.compare($0, $1) < 0 }) {
            return
        } else {
            members.sort { JSONObject.compare($0, $1) < 0 }
        }
        var last: [Member] = []
        for member in members {
            if let previous = last.last, JSONObject.compare(previous, member) == 0 { last.removeLast() }
            last.append(member)
        }
        members = last
    }

    private static let fewMembers = 32

    /// By insertion, in place: most objects have few members, in their order or nearly so. Stable, as `sort` is.
    ///
    /// - Returns: whether a key is repeated.
    private static func sortFew(_ members: inout UnsafeMutableBufferPointer<Member>) -> Bool {
        var isRepeated = false
        for index in members.indices.dropFirst() {
            var place = index
            while place > 0 {
                // The heads are compared in their place: a copy of a member would count its texts.
                let (before, after) = (members[place - 1].head, members[place].head)
                let order =
                    before == after ? compare(members[place - 1], members[place]) : before < after ? -1 : 1
                if order == 0 { isRepeated = true }
                if order <= 0 { break }
                members.swapAt(place - 1, place)
                place -= 1
            }
        }
        return isRepeated
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

    /// The members at the indices that are asked for.
    package func filtered(_ isIncluded: (Int) -> Bool) -> JSONObject {
        JSONObject(ascending: members.indices.filter(isIncluded).map { members[$0] })
    }

    /// Where a key is among `members`.
    package func index(of key: String) -> Int? {
        let (index, isPresent) = place(of: key)
        return isPresent ? index : nil
    }

    /// Where a key is, or would have to be.
    private func place(of key: String) -> (index: Int, isPresent: Bool) {
        key.withBorrowedUTF8 { utf8 in
            let head = JSONKeyOrder.head(of: utf8)
            var low = 0
            var high = members.count
            // Of few members the first of that head or a higher one is found sooner by looking at each.
            if high <= JSONObject.fewMembers {
                while low < high, members[low].head < head { low &+= 1 }
                if low == high || members[low].head != head { return (low, false) }
            }
            while low < high {
                let middle = (low &+ high) / 2
                let other = members[middle].head
                let order = other == head ? JSONObject.compare(members[middle].key, utf8) : other < head ? -1 : 1
                if order == 0 { return (middle, true) }
                if order < 0 { low = middle &+ 1 } else { high = middle }
            }
            return (low, false)
        }
    }

    // MARK: Order

    /// - Returns: less than 0, 0 or more: how the first differs from the second in the order of their bytes.
    private static func compare(_ left: Member, _ right: Member) -> Int {
        if left.head != right.head { return left.head < right.head ? -1 : 1 }
        return right.key.withBorrowedUTF8 { compare(left.key, $0) }
    }

    /// Of two keys of the same head.
    private static func compare(_ left: String, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        left.withBorrowedUTF8 { JSONKeyOrder.compareWithEqualHeads($0, right) }
    }
}

extension JSONObject: Sequence {
    package func makeIterator() -> IndexingIterator<[Member]> { members.makeIterator() }
}

extension JSONObject.Member: Hashable {
    package static func == (left: Self, right: Self) -> Bool { left.key == right.key && left.value == right.value }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(key)
        hasher.combine(value)
    }
}
