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

    /// How many edited items may be written into their originals. With several, one cannot tell which belongs to which.
    enum Patching {
        case onePair, samePlace
    }

    /// - Returns: for each edited item its source.
    static func sources<Item: Hashable>(
        of edited: [Item], baseline: [Item], patching: Patching
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
        if moved { return sources }
        switch patching {
        case .onePair:
            if leftover.count == 1, edited.count == baseline.count { sources[leftover[0]] = .patched(leftover[0]) }
        case .samePlace:
            for index in leftover where index < baseline.count { sources[index] = .patched(index) }
        }
        return sources
    }
}
