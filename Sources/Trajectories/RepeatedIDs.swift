internal import ATOF

/// Calls of different steps with one id, as of providers that number them in each answer.
enum RepeatedIDs {
    /// Gives the later ones ids of their own, which their results follow.
    static func rename(in steps: inout [Step], _ agents: inout [AgentStep]) {
        var known: Set<String> = []
        for index in steps.indices { known.formUnion(steps[index].calls.lazy.map(\.id)) }
        var seen: [String: Int] = [:]
        for index in steps.indices {
            var renamed: [String: String] = [:]
            for position in steps[index].calls.indices {
                let id = steps[index].calls[position].id
                var number = seen[id, default: 0] + 1
                if number > 1 {
                    while !known.insert("\(id):\(number)").inserted { number += 1 }
                    steps[index].calls[position].rename(position: number)
                    renamed[id] = steps[index].calls[position].id
                }
                seen[id] = number
            }
            if renamed.isEmpty { continue }
            for result in steps[index].results.indices {
                guard let id = steps[index].results[result].callID, let new = renamed[id] else { continue }
                steps[index].results[result].callID = new
            }
            if case .agent(let position) = steps[index].extra { agents[position].rename(renamed) }
        }
    }
}
