/// The lowest position among items that leave in the order in which they came, whatever order their positions have.
///
/// Keeps only those positions that can still become the lowest.
struct PositionWindow: Sendable {
    /// Item numbers and positions, both ascending.
    private var candidates: [(number: UInt64, position: UInt64)] = []
    /// Items that ever came.
    private(set) var arrived: UInt64 = 0
    /// Items that ever left.
    private(set) var left: UInt64 = 0

    var lowest: UInt64? { candidates.first?.position }

    mutating func append(_ position: UInt64) {
        // An item that leaves earlier and is not lower can never be the lowest alone.
        while let last = candidates.last, last.position >= position { candidates.removeLast() }
        candidates.append((arrived, position))
        arrived += 1
    }

    mutating func removeFirst(_ count: Int) {
        left += UInt64(count)
        candidates.removeFirst(candidates.firstIndex { $0.number >= left } ?? candidates.count)
    }
}
