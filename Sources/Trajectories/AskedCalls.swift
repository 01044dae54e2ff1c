internal import ATOF

/// The calls that the models asked for, and which of them a tool has taken. Ids may be used again, so each call is known by its position.
///
/// An id that was asked for once is looked up directly. Only where ids repeat or are missing, names and arguments are compared, by an
/// index that is made then.
struct AskedCalls: Sendable {
    struct Call: Sendable {
        /// Its model call.
        let agent: Int
        /// Its own in the step.
        let id: String
        /// The one that it came with.
        let askedID: String
        let name: String
        let arguments: JSONValue
        var isTaken = false
    }

    private enum Key: Hashable {
        case id(String)
        case idAndName(String, String)
        case idAndCall(String, String, JSONValue)
        case call(String, JSONValue)
        case name(String, agent: Int)
    }

    /// Calls that a key stands for; those of the newest model call last.
    private struct Candidates: Sendable {
        private var groups: [(agent: Int, calls: [Int], next: Int)] = []
        private(set) var newest = 0
        private(set) var count = 0

        mutating func append(_ call: Int, agent: Int) {
            if groups.last?.agent != agent {
                groups.append((agent, [], 0))
                newest = call
            }
            groups[groups.count - 1].calls.append(call)
            count += 1
        }

        /// The first that is open, of the newest model call that has one.
        mutating func open(in calls: [Call]) -> Int? {
            while let last = groups.indices.last {
                while groups[last].next < groups[last].calls.count {
                    let call = groups[last].calls[groups[last].next]
                    if !calls[call].isTaken { return call }
                    groups[last].next += 1
                }
                groups.removeLast()
            }
            return nil
        }

        /// The one that is open; nil when there are several.
        mutating func onlyOpen(in calls: [Call]) -> Int? {
            guard let first = open(in: calls), let group = groups.last else { return nil }
            return group.calls[(group.next + 1)...].contains { !calls[$0].isTaken } ? nil : first
        }
    }

    /// The newest call of an id.
    private struct Newest: Sendable {
        let call: Int
        /// Whether there are others of the id, and whether its own model call asked for one of them.
        let (isRepeated, hasSiblings): (Bool, Bool)
    }

    private(set) var calls: [Call] = []
    private var newest: [String: Newest] = [:]
    private var candidates: [Key: Candidates] = [:]
    private var indexed = 0

    /// Whether an id was asked for twice.
    private(set) var hasRepeatedIDs = false

    func hasAsked(for id: String) -> Bool { newest[id] != nil }

    mutating func append(_ call: Call) {
        let older = newest[call.askedID]
        newest[call.askedID] = Newest(
            call: calls.count, isRepeated: older != nil,
            hasSiblings: older.map { calls[$0.call].agent == call.agent } ?? false)
        if older != nil { hasRepeatedIDs = true }
        calls.append(call)
    }

    mutating func take(_ call: Int) { calls[call].isTaken = true }

    /// The newest call of an id.
    func call(id: String) -> Int? { newest[id]?.call }

    /// The call of an id; of several the one with these arguments or this name, and of equal ones one that is open.
    mutating func call(id: String, name: String, arguments: @autoclosure () -> JSONValue?) -> Int? {
        guard let newest = newest[id] else { return nil }
        let call = newest.call
        if !newest.isRepeated { return call }
        let arguments = arguments()
        // Of providers that number the calls of each answer anew it is this one: the index would say so too.
        if !newest.hasSiblings, !calls[call].isTaken, calls[call].name == name,
            arguments == nil || arguments == calls[call].arguments
        {
            return call
        }
        index()
        let keys = [arguments.map { Key.idAndCall(id, name, $0) }, .idAndName(id, name), .id(id)]
        for case let key? in keys {
            if let call = candidates[key]?.open(in: calls) ?? candidates[key]?.newest { return call }
        }
        return call
    }

    /// An open call of a name with these arguments.
    mutating func openCall(_ name: String, _ arguments: JSONValue) -> Int? {
        index()
        return candidates[.call(name, arguments)]?.open(in: calls)
    }

    /// The only open call of a name that a model call asked for; nil when several may be meant.
    mutating func onlyOpenCall(_ name: String, agent: Int) -> Int? {
        index()
        return candidates[.name(name, agent: agent)]?.onlyOpen(in: calls)
    }

    /// The only call of a name that a model call asked for.
    mutating func onlyCall(_ name: String, agent: Int) -> Int? {
        index()
        guard let candidates = candidates[.name(name, agent: agent)], candidates.count == 1 else { return nil }
        return candidates.newest
    }

    /// Whether a model call asked for a name and the call is open.
    mutating func hasOpenCall(_ name: String, agent: Int) -> Bool {
        index()
        return candidates[.name(name, agent: agent)]?.open(in: calls) != nil
    }

    private mutating func index() {
        while indexed < calls.count {
            let call = calls[indexed]
            let keys: [Key] = [
                .id(call.askedID), .idAndName(call.askedID, call.name),
                .idAndCall(call.askedID, call.name, call.arguments), .call(call.name, call.arguments),
                .name(call.name, agent: call.agent),
            ]
            for key in keys { candidates[key, default: Candidates()].append(indexed, agent: call.agent) }
            indexed += 1
        }
    }
}
