/// Deadlines of trajectories, the earliest first: a binary heap. What was entered may be outdated; whoever takes it out looks again.
struct DeadlineQueue: Sendable {
    struct Entry: Sendable {
        let time: UInt64
        let slot: UInt64

        /// Trajectories that are due at the same time come in the order of their opening, so that the same events give the same output.
        static func precedes(_ left: Entry, _ right: Entry) -> Bool {
            (left.time, left.slot) < (right.time, right.slot)
        }
    }

    private var heap: [Entry] = []

    var count: Int { heap.count }

    var first: Entry? { heap.first }

    /// Drops the others. In the order of a heap: a sorted array is one.
    mutating func keep(_ counts: (Entry) -> Bool) { heap = heap.filter(counts).sorted(by: Entry.precedes) }

    mutating func insert(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Entry.precedes(heap[child], heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        guard let last = heap.popLast(), !heap.isEmpty else { return }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if Entry.precedes(heap[child], heap[least]) { least = child }
            }
            if least == parent { return }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}
