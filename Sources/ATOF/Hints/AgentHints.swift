/// What a model request says to the server about its agent, so that the server can schedule it (`adaptive.md` 5.1).
package struct AgentHints: Sendable, Hashable {
    /// Tokens that the answer will have.
    package var outputLength: UInt32
    /// Milliseconds until the agent's next request.
    package var interarrival: UInt32
    /// From 1 to 5 when it was learned, else as it was set by hand; 5 waits least well.
    package var latencySensitivity: Double
    /// 0 is the most urgent.
    package var priority: Int32
    package var prefixID: String
    /// Requests of the run, as far as can be foreseen.
    package var totalRequests: UInt32

    package init(
        outputLength: UInt32 = 0, interarrival: UInt32 = 0, latencySensitivity: Double, prefixID: String,
        totalRequests: UInt32 = 0
    ) {
        self.outputLength = outputLength
        self.interarrival = interarrival
        self.latencySensitivity = latencySensitivity
        priority = AgentHints.priority(latencySensitivity)
        self.prefixID = prefixID
        self.totalRequests = totalRequests
    }

    /// The name of the agent where no agent's scope is open.
    package static let unnamedAgent = "default-agent"

    /// - Parameter depth: how many scopes of agents and functions are open.
    package static func prefixID(agent: String, depth: Int) -> String { "\(agent)-d\(depth)" }

    /// What was learned, with what was set by hand over it where that is more; nil when there is neither.
    package static func combined(_ learned: AgentHints?, manual: UInt32?, prefixID: String) -> AgentHints? {
        guard let manual else { return learned }
        guard var hints = learned else { return AgentHints(latencySensitivity: Double(manual), prefixID: prefixID) }
        if Double(manual) > hints.latencySensitivity {
            hints.latencySensitivity = Double(manual)
            hints.priority = priority(hints.latencySensitivity)
        }
        return hints
    }

    private static func priority(_ sensitivity: Double) -> Int32 { Int32(max(5 - min(max(sensitivity, 0), 5), 0)) }

    // MARK: JSON

    /// As requests and answers have it.
    package var json: JSONValue {
        [
            "iat": .int(Int64(interarrival)), "latency_sensitivity": .double(latencySensitivity),
            "osl": .int(Int64(outputLength)), "prefix_id": .string(prefixID), "priority": .int(Int64(priority)),
            "total_requests": .int(Int64(totalRequests)),
        ]
    }

    /// - Throws: `GuardMessageError` that names the member.
    package init(_ object: JSONObject) throws(GuardMessageError) {
        func number(_ key: String) throws(GuardMessageError) -> UInt32 {
            guard let number = object[key]?.int64Value.flatMap({ UInt32(exactly: $0) }) else {
                throw GuardMessageError(key, "must be an integer of 32 bits")
            }
            return number
        }
        guard let sensitivity = object["latency_sensitivity"]?.numberValue, sensitivity.isFinite else {
            throw GuardMessageError("latency_sensitivity", "must be a number")
        }
        guard let prefix = object["prefix_id"]?.stringValue else {
            throw GuardMessageError("prefix_id", "must be a string")
        }
        guard let urgency = object["priority"]?.int64Value.flatMap({ Int32(exactly: $0) }) else {
            throw GuardMessageError("priority", "must be an integer of 32 bits")
        }
        outputLength = try number("osl")
        interarrival = try number("iat")
        totalRequests = try number("total_requests")
        latencySensitivity = sensitivity
        prefixID = prefix
        priority = urgency
    }
}
