/// The model calls of an agent's scope that has ended (`adaptive.md` 3).
package struct CompletedRun: Sendable, Hashable {
    package struct Call: Sendable, Hashable {
        package let name: String
        /// The names of the scopes of agents and functions around it, the outermost first.
        package let scopePath: [String]
        /// Nanoseconds since 1970.
        package let startedAt: UInt64
        /// Nil for one whose end never came.
        package var endedAt: UInt64?
        package var outputTokens: UInt64

        package init(
            name: String, scopePath: [String], startedAt: UInt64, endedAt: UInt64? = nil, outputTokens: UInt64 = 0
        ) {
            self.name = name
            self.scopePath = scopePath
            self.startedAt = startedAt
            self.endedAt = endedAt
            self.outputTokens = outputTokens
        }
    }

    package let startedAt: UInt64
    package let endedAt: UInt64
    /// In the order in which they started.
    package let calls: [Call]

    package init(startedAt: UInt64, endedAt: UInt64, calls: [Call]) {
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.calls = calls
    }

    /// What one completed call tells about calls like it (4.1).
    struct Sample: Hashable {
        /// The scopes and the call's own name.
        let path: [String]
        /// Counted from 1 for each name.
        let callIndex: UInt32
        let remainingCalls: Double
        /// Milliseconds from the end to the start of the next call; nil of the last one.
        let interarrival: Double?
        let outputTokens: Double
        /// From 0 to 1 within the run (4.3).
        let sensitivity: Double
    }

    var samples: [Sample] {
        let completed = calls.enumerated().compactMap { place, call in
            call.endedAt.map { (place: place, call: call, end: $0) }
        }
        let sensitivities = CompletedRun.sensitivities(
            completed.map { ($0.call.startedAt, $0.end) }, duration: Double(endedAt) - Double(startedAt))
        var counts: [String: UInt32] = [:]
        return zip(completed.indices, completed).map { position, entry in
            counts[entry.call.name, default: 0] += 1
            let next = entry.place + 1 < calls.count ? calls[entry.place + 1].startedAt : nil
            return Sample(
                path: entry.call.scopePath + [entry.call.name], callIndex: counts[entry.call.name, default: 1],
                remainingCalls: Double(completed.count - position - 1),
                interarrival: next.map { (Double($0) - Double(entry.end)) / 1e6 },
                outputTokens: Double(entry.call.outputTokens), sensitivity: sensitivities[position])
        }
    }

    /// How much each call matters for how long the run takes: its share of the time, how many steps follow, and whether it is at an end
    /// (4.3).
    ///
    /// - Parameters:
    ///   - calls: starts and ends.
    ///   - duration: of the run, nanoseconds.
    static func sensitivities(_ calls: [(start: UInt64, end: UInt64)], duration: Double) -> [Double] {
        // By whole seconds, as the reference sorts them.
        let order = calls.indices.sorted {
            let (left, right) = (calls[$0].start / 1_000_000_000, calls[$1].start / 1_000_000_000)
            return (left, $0) < (right, $1)
        }
        var steps = [Int](repeating: 0, count: calls.count)
        var (step, latestEnd): (Int, UInt64?) = (-1, nil)
        for index in order {
            if let end = latestEnd, calls[index].start < end {
                latestEnd = max(end, calls[index].end)
            } else {
                step += 1
                latestEnd = calls[index].end
            }
            steps[index] = step
        }
        let last = Double(step)
        let raw = zip(calls, steps).map { call, step in
            let lasted = max(0, Double(call.end) - Double(call.start))
            let critical = duration > 0 ? min(lasted / duration, 1) : 1
            let place = last > 0 ? Double(step) / last : 1
            let fanOut = last > 0 ? (last - Double(step)) / last : 0
            return 0.5 * critical + 0.3 * fanOut + 0.2 * max(1 - place, place)
        }
        guard let low = raw.min(), let high = raw.max(), high > low else { return raw.map { _ in 0.5 } }
        return raw.map { ($0 - low) / (high - low) }
    }
}
