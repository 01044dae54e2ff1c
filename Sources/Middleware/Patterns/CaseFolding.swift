/// Which scalars differ in nothing but case (simple case folding).
enum CaseFolding {
    /// Scalar to all others that are the same without regard to case.
    private static let others: [UInt32: [UInt32]] = {
        var classOf: [UInt32: UInt32] = [:]
        var members: [UInt32: [UInt32]] = [:]
        func join(_ left: UInt32, _ right: UInt32) {
            let (one, two) = (classOf[left] ?? left, classOf[right] ?? right)
            if one == two { return }
            let (first, second) = (members[one] ?? [one], members[two] ?? [two])
            members[one] = first + second
            members[two] = nil
            for member in first + second { classOf[member] = one }
        }
        for value in 0...0x1FFFF {
            // The dotless i folds with i in Turkish only.
            guard value != 0x131, let scalar = Unicode.Scalar(UInt32(value)), scalar.properties.changesWhenCaseMapped
            else { continue }
            let properties = scalar.properties
            for mapping in [properties.lowercaseMapping, properties.uppercaseMapping, properties.titlecaseMapping] {
                let mapped = mapping.unicodeScalars
                if mapped.count == 1, let other = mapped.first, other != scalar { join(scalar.value, other.value) }
            }
        }
        var result: [UInt32: [UInt32]] = [:]
        for group in members.values {
            for member in group { result[member] = group.filter { $0 != member } }
        }
        return result
    }()

    private static let ascending = others.keys.sorted()

    /// A set with everything that differs from a member in case only.
    static func closed(_ set: ScalarSet) -> ScalarSet {
        var added: [ClosedRange<UInt32>] = []
        if let single = set.single {
            added = (others[single] ?? []).map { $0...$0 }
        } else {
            for value in ascending where set.contains(value) { added += (others[value] ?? []).map { $0...$0 } }
        }
        return added.isEmpty ? set : ScalarSet(set.ranges + added)
    }

    static func closedASCII(_ set: ScalarSet) -> ScalarSet {
        let upper = set.intersection(ScalarSet([0x41...0x5A])).ranges.map { $0.lowerBound + 32...$0.upperBound + 32 }
        let lower = set.intersection(ScalarSet([0x61...0x7A])).ranges.map { $0.lowerBound - 32...$0.upperBound - 32 }
        return ScalarSet(set.ranges + upper + lower)
    }
}
