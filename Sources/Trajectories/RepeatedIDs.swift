internal import ATOF

/// Calls of different steps with one id, as of providers that number them in each answer.
enum RepeatedIDs {
    /// Gives the later ones ids of their own, which their results follow.
    static func rename(in steps: inout [Step], _ agents: inout [AgentStep]) {
        // Ids that look like those that are made here, which are all different: to others none can be equal.
        var taken: Set<String> = []
        for index in steps.indices {
            for position in steps[index].calls.indices where isNumbered(steps[index].calls[position].id) {
                taken.insert(steps[index].calls[position].id)
            }
        }
        var seen: [String: Int] = [:]
        for index in steps.indices {
            var renamed = CallTable<String>()
            for position in steps[index].calls.indices {
                let id = steps[index].calls[position].id
                var number = seen[id, default: 0] + 1
                if number > 1 {
                    while !taken.isEmpty, taken.contains("\(id):\(number)") { number += 1 }
                    steps[index].calls[position].rename(position: number)
                    let new = steps[index].calls[position].id
                    renamed.enter(id, new) { $0 = new }
                }
                seen[id] = number
            }
            if renamed.count == 0 { continue }
            for result in steps[index].results.indices {
                guard let id = steps[index].results[result].callID, let new = renamed[id] else { continue }
                steps[index].results[result].callID = new
            }
            if case .agent(let position) = steps[index].extra { agents[position].rename(renamed) }
        }
    }

    /// Whether an id ends with a colon and digits.
    private static func isNumbered(_ id: String) -> Bool {
        let rest = id.utf8.reversed().drop { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return rest.first == UInt8(ascii: ":") && rest.count < id.utf8.count
    }
}
