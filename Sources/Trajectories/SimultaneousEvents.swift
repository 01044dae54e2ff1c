internal import ATOF

/// The order of events of the same time (`atif-trajectories.md` 8, 12).
enum SimultaneousEvents {
    /// Puts each start before its own end and behind its parent's start; all else stays as it is.
    ///
    /// - Parameter events: in order of time.
    static func order(_ events: inout [ScopeEvent]) {
        var first = 0
        while first < events.count {
            var end = first + 1
            while end < events.count, events[end].time == events[first].time { end += 1 }
            if end - first > 1 { order(&events, first..<end) }
            first = end
        }
    }

    private static func order(_ events: inout [ScopeEvent], _ range: Range<Int>) {
        var starts: [EventUUID: Int] = [:]
        var isOrdered = true
        for index in range.reversed() {
            let event = events[index]
            // What stands behind this one, and should not.
            if event.isStart ? event.parent.flatMap({ starts[$0] }) != nil : starts[event.uuid] != nil {
                isOrdered = false
            }
            if event.isStart { starts[event.uuid] = index }
        }
        if isOrdered { return }
        var ordered: [ScopeEvent] = []
        ordered.reserveCapacity(range.count)
        var isPlaced = [Bool](repeating: false, count: range.count)
        for index in range where !isPlaced[index - range.lowerBound] {
            // The starts that must come first, the outermost last.
            var waiting: [Int] = []
            var next: EventUUID? = events[index].isStart ? events[index].parent : events[index].uuid
            while let uuid = next, let start = starts.removeValue(forKey: uuid) {
                if start != index, !isPlaced[start - range.lowerBound] { waiting.append(start) }
                next = events[start].parent
            }
            for start in waiting.reversed() + [index] where !isPlaced[start - range.lowerBound] {
                isPlaced[start - range.lowerBound] = true
                ordered.append(events[start])
            }
        }
        events.replaceSubrange(range, with: ordered)
    }
}
