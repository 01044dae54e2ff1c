/// A set of Unicode scalars, as ascending ranges of code points that neither overlap nor touch.
struct ScalarSet: Sendable, Hashable {
    private(set) var ranges: [ClosedRange<UInt32>]

    static let highest: UInt32 = 0x10FFFF
    static let all = ScalarSet([0...highest])
    static let ascii = ScalarSet([0...0x7F])

    init() { ranges = [] }

    /// Takes ranges in any order.
    init(_ ranges: [ClosedRange<UInt32>]) {
        self.ranges = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound &+ 1 {
                self.ranges[self.ranges.count - 1] = last.lowerBound...Swift.max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    init(_ scalar: Unicode.Scalar) { ranges = [scalar.value...scalar.value] }

    init(where isMember: (Unicode.Scalar.Properties) -> Bool) {
        var found: [ClosedRange<UInt32>] = []
        ScalarSet.forEachProbe { scalar, range in
            guard isMember(scalar.properties) else { return }
            if let last = found.last, last.upperBound + 1 == range.lowerBound {
                found[found.count - 1] = last.lowerBound...range.upperBound
            } else {
                found.append(range)
            }
        }
        ranges = found
    }

    /// Every scalar that may be a character, and one for each of the planes that hold none, with those that it stands for.
    static func forEachProbe(_ body: (Unicode.Scalar, ClosedRange<UInt32>) -> Void) {
        func probe(_ range: ClosedRange<UInt32>) {
            if let scalar = Unicode.Scalar(range.lowerBound) { body(scalar, range) }
        }
        for value in UInt32(0)...0x3FFFF { probe(value...value) }
        probe(0x40000...0xDFFFF)
        for value in UInt32(0xE0000)...0xE0FFF { probe(value...value) }
        for range: ClosedRange<UInt32> in [
            0xE1000...0xEFFFF, 0xF0000...0xFFFFD, 0xFFFFE...0xFFFFF, 0x100000...0x10FFFD, 0x10FFFE...0x10FFFF,
        ] {
            probe(range)
        }
    }

    var isEmpty: Bool { ranges.isEmpty }

    /// The scalar, when there is exactly one.
    var single: UInt32? {
        ranges.count == 1 && ranges[0].lowerBound == ranges[0].upperBound ? ranges[0].lowerBound : nil
    }

    func contains(_ value: UInt32) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= value
    }

    var inverted: ScalarSet {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= ScalarSet.highest { result.append(next...ScalarSet.highest) }
        return ScalarSet(result)
    }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    func intersection(_ other: ScalarSet) -> ScalarSet {
        var result: [ClosedRange<UInt32>] = []
        var (left, right) = (0, 0)
        while left < ranges.count, right < other.ranges.count {
            let (one, two) = (ranges[left], other.ranges[right])
            let (low, high) = (max(one.lowerBound, two.lowerBound), min(one.upperBound, two.upperBound))
            if low <= high { result.append(low...high) }
            if one.upperBound < two.upperBound { left += 1 } else { right += 1 }
        }
        return ScalarSet(result)
    }

    func subtracting(_ other: ScalarSet) -> ScalarSet { intersection(other.inverted) }

    func symmetricDifference(_ other: ScalarSet) -> ScalarSet {
        union(other).subtracting(intersection(other))
    }
}
