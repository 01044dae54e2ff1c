/// Keys by age, with removal from anywhere. Inlinable: the keys of other modules would be compared through witnesses otherwise.
package struct AgeOrder<Key: Hashable & Sendable>: Sendable {
    @usableFromInline var numbers: [Key: UInt64] = [:]
    /// Removed ones stay here until they come to the front or are more than the rest.
    @usableFromInline var queue: [(number: UInt64, key: Key)] = []
    @usableFromInline var head = 0
    @usableFromInline var next: UInt64 = 0

    @inlinable package init() {}

    @inlinable package var count: Int { numbers.count }

    @inlinable package func contains(_ key: Key) -> Bool { numbers[key] != nil }

    @inlinable package var inOrder: [Key] { queue[head...].filter { numbers[$0.key] == $0.number }.map(\.key) }

    /// The oldest.
    @inlinable package var first: Key? {
        mutating get {
            while head < queue.count {
                if numbers[queue[head].key] == queue[head].number { return queue[head].key }
                head += 1
            }
            return nil
        }
    }

    /// Appends a key; one that is there already is the youngest now.
    @inlinable package mutating func append(_ key: Key) {
        numbers[key] = next
        queue.append((next, key))
        next += 1
        if queue.count > 64, queue.count > numbers.count * 2 {
            queue = queue[head...].filter { numbers[$0.key] == $0.number }
            head = 0
        }
    }

    @inlinable package mutating func remove(_ key: Key) { numbers[key] = nil }

    @inlinable package mutating func removeFirst() -> Key? {
        guard let first else { return nil }
        numbers[first] = nil
        head += 1
        return first
    }
}
