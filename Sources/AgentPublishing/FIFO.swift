/// First in, first out; taking the first costs the same however many there are.
struct FIFO<Element: Sendable>: Sendable {
    private var items: [Element?] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { head == items.count }

    var first: Element? { isEmpty ? nil : items[head] }

    mutating func append(_ element: Element) { items.append(element) }

    mutating func popFirst() -> Element? {
        guard head < items.count else { return nil }
        let element = items[head]
        items[head] = nil
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: head <= 1024)
            head = 0
        } else if head > 64, head * 2 > items.count {
            items.removeFirst(head)
            head = 0
        }
        return element
    }

    /// Puts elements before all others.
    mutating func prepend(_ elements: [Element]) {
        items = elements + items[head...]
        head = 0
    }

    var elements: [Element] { items[head...].compactMap { $0 } }

    func contains(where matches: (Element) -> Bool) -> Bool {
        items[head...].contains { $0.map(matches) ?? false }
    }

    /// Removes the first for which it is true.
    mutating func remove(where matches: (Element) -> Bool) -> Element? {
        guard let index = items[head...].firstIndex(where: { $0.map(matches) ?? false }) else { return nil }
        return items.remove(at: index)
    }

    /// Changes every element in place.
    mutating func update(_ change: (inout Element) -> Void) {
        for index in items.indices[head...] {
            guard var element = items[index] else { continue }
            items[index] = nil
            change(&element)
            items[index] = element
        }
    }
}
