/// Keys by age, with removal from anywhere.
struct AgeOrder<Key: Hashable & Sendable>: Sendable {
    private var numbers: [Key: UInt64] = [:]
    /// Removed ones stay here until they come to the front or are more than the rest.
    private var queue: [(number: UInt64, key: Key)] = []
    private var head = 0
    private var next: UInt64 = 0

    var count: Int { numbers.count }

    /// The oldest.
    var first: Key? { queue[head...].first { numbers[$0.key] == $0.number }?.key }

    var inOrder: [Key] { queue[head...].filter { numbers[$0.key] == $0.number }.map(\.key) }

    mutating func append(_ key: Key) {
        numbers[key] = next
        queue.append((next, key))
        next += 1
        if queue.count > 64, queue.count > numbers.count * 2 {
            queue = queue[head...].filter { numbers[$0.key] == $0.number }
            head = 0
        }
    }

    mutating func remove(_ key: Key) { numbers[key] = nil }

    mutating func removeFirst() -> Key? {
        while head < queue.count {
            let (number, key) = queue[head]
            head += 1
            if numbers[key] == number {
                numbers[key] = nil
                return key
            }
        }
        return nil
    }
}
