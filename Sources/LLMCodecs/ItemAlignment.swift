/// Which original JSON the items of an edited list keep, so that removing and moving items loses nothing
/// (`codecs-and-pricing.md` 2.2, array items).
enum ItemAlignment {
    /// Where the JSON of an item comes from.
    enum Source: Hashable {
        /// The original at this place, as it is.
        case original(Int)
        /// The original at this place with the differences written into it.
        case patched(Int)
        case fresh
    }

    /// How many edited items without an identity may be written into their originals, of as many as there were. With several, one cannot
    /// tell which belongs to which.
    enum Patching {
        case onePair, samePlace
    }

    /// - Parameter identity: what an item keeps when it changes, such as the id of a call. One of the same is written into its original,
    ///   wherever that is.
    /// - Returns: for each edited item its source.
    static func sources<Item: Hashable>(
        of edited: [Item], baseline: [Item], patching: Patching, identity: (Item) -> String? = { _ in nil }
    ) -> [Source] {
        var sources = edited.indices.map {
            $0 < baseline.count && edited[$0] == baseline[$0] ? .original($0) : Source.fresh
        }
        let unmatched = sources.indices.filter { sources[$0] == .fresh }
        if unmatched.isEmpty { return sources }
        var unused: [Item: [Int]] = [:]
        for index in baseline.indices.reversed() where index >= sources.count || sources[index] == .fresh {
            unused[baseline[index], default: []].append(index)
        }
        var moved = false
        var leftover: [Int] = []
        for index in unmatched {
            if let original = unused[edited[index]]?.popLast() {
                sources[index] = .original(original)
                moved = true
            } else {
                leftover.append(index)
            }
        }
        let originals = Dictionary(
            unambiguous: unused.values.joined().compactMap { index in identity(baseline[index]).map { ($0, index) } })
        let identified = Dictionary(
            unambiguous: leftover.compactMap { index in identity(edited[index]).map { ($0, index) } })
        for (identity, index) in identified {
            guard let original = originals[identity] else { continue }
            sources[index] = .patched(original)
            if original != index { moved = true }
        }
        leftover.removeAll { sources[$0] != .fresh }
        if moved || edited.count != baseline.count { return sources }
        switch patching {
        case .onePair: if leftover.count == 1 { sources[leftover[0]] = .patched(leftover[0]) }
        case .samePlace: for index in leftover { sources[index] = .patched(index) }
        }
        return sources
    }
}

extension Dictionary {
    /// Values by the keys that only one pair has.
    init(unambiguous pairs: [(Key, Value)]) {
        let counts = Dictionary<Key, Int>(pairs.map { ($0.0, 1) }, uniquingKeysWith: +)
        self.init(uniqueKeysWithValues: pairs.filter { counts[$0.0] == 1 })
    }
}
