/// Trajectories in the order in which they were appended, with removal from anywhere.
struct SlotOrder: Sendable {
    private var numbers: [UInt64: UInt64] = [:]
    /// What was removed stays here until it comes to the front or is more than the rest.
    private var queue: [(number: UInt64, slot: UInt64)] = []
    private var head = 0
    private var next: UInt64 = 0

    var count: Int { numbers.count }

    func contains(_ slot: UInt64) -> Bool { numbers[slot] != nil }

    var inOrder: [UInt64] { queue[head...].filter { numbers[$0.slot] == $0.number }.map(\.slot) }

    /// Appends it; what is there already moves to the end.
    mutating func append(_ slot: UInt64) {
        numbers[slot] = next
        queue.append((next, slot))
        next += 1
        if queue.count > 64, queue.count > numbers.count * 2 {
            queue = queue[head...].filter { numbers[$0.slot] == $0.number }
            head = 0
        }
    }

    mutating func remove(_ slot: UInt64) { numbers[slot] = nil }

    /// The first; what was removed before it is dropped on the way.
    var first: UInt64? {
        mutating get {
            while head < queue.count {
                if numbers[queue[head].slot] == queue[head].number { return queue[head].slot }
                head += 1
            }
            return nil
        }
    }
}
