package import ATOF
package import Adaptive
internal import LLMCodecs

/// The `learn` stage: makes runs of agents out of their events, for the models that hints come from (`adaptive.md` 3).
///
/// A pure machine. Every scope of an agent is a run, nested ones too; a call belongs to the innermost, and is learned for the outermost,
/// which is the one that asks. Ends are matched by UUID, so that calls of one name may overlap. What has no known parent is not learned.
package struct LearnMachine: Sendable {
    /// The bounds of what is kept. All tenants share them: who has the most runs gives first.
    package struct Limits: Sendable, Hashable {
        /// Runs whose agent has not ended. Beyond it that one is forgotten of which nothing came for longest.
        package var openRuns = 2048
        /// Model calls of a run; one with more is not learned from.
        package var callsPerRun = 512
        /// Open scopes of a run; what is below further ones is not learned.
        package var scopesPerRun = 4096

        package init() {}
    }

    /// An agent's scope that has ended.
    package struct Finished: Sendable, Hashable {
        package let tenant: String
        /// The outermost agent.
        package let agent: String
        package let run: CompletedRun
    }

    private struct Key: OfTenant {
        let tenant: String
        let uuid: EventUUID
    }

    private struct Scope: Sendable {
        let run: Key
        /// Of agents and functions, this one included.
        let path: [String]
    }

    private struct Run: Sendable {
        let agent: String
        let startedAt: UInt64
        var calls: [CompletedRun.Call] = []
        /// Where the calls are that have not ended.
        var open: [EventUUID: Int] = [:]
        var scopes: Set<EventUUID> = []
        var isTooLarge = false
    }

    private let limits: Limits
    private var scopes: [Key: Scope] = [:]
    private var runs: [Key: Run] = [:]
    private var order = FairAgeOrder<Key>()
    package private(set) var forgottenRuns: UInt64 = 0

    package init(limits: Limits = Limits()) { self.limits = limits }

    package var openRunCount: Int { runs.count }

    // MARK: Input

    /// - Returns: the run that the event ends, if it had model calls.
    package mutating func receive(_ event: Event, tenant: String) -> Finished? {
        guard let category = event.category?.known, category != .guardrail,
            let time = event.timestamp.epochNanoseconds
        else { return nil }
        switch event.kind {
        case .mark: return nil
        case .scopeStart:
            started(event, category, tenant, at: time)
            return nil
        case .scopeEnd: return ended(event, category, tenant, at: time)
        }
    }

    private mutating func started(_ event: Event, _ category: Event.Category.Known, _ tenant: String, at time: UInt64) {
        let key = Key(tenant: tenant, uuid: event.uuid)
        if scopes[key] != nil { return }
        let above = event.parentUUID.flatMap { scopes[Key(tenant: tenant, uuid: $0)] }
        let name = event.name.prefix(utf8Count: HintQuestion.maximumName)
        if category == .agent {
            let agent = above.flatMap { runs[$0.run]?.agent } ?? name
            runs[key] = Run(agent: agent, startedAt: time, scopes: [event.uuid])
            scopes[key] = Scope(run: key, path: (above?.path ?? []) + [name])
            order.append(key)
            while order.count > limits.openRuns, let oldest = order.removeFirst() {
                forget(oldest)
                forgottenRuns += 1
            }
            return
        }
        guard let above, var run = runs.removeValue(forKey: above.run) else { return }
        defer { runs[above.run] = run }
        order.append(above.run)
        if category == .llm {
            if run.calls.count < limits.callsPerRun {
                run.open[event.uuid] = run.calls.count
                run.calls.append(.init(name: name, scopePath: above.path, startedAt: time))
            } else {
                run.isTooLarge = true
            }
        }
        guard run.scopes.count < limits.scopesPerRun else { return }
        run.scopes.insert(event.uuid)
        scopes[key] = Scope(run: above.run, path: category == .function ? above.path + [name] : above.path)
    }

    private mutating func ended(
        _ event: Event, _ category: Event.Category.Known, _ tenant: String, at time: UInt64
    ) -> Finished? {
        let key = Key(tenant: tenant, uuid: event.uuid)
        guard let scope = scopes.removeValue(forKey: key) else { return nil }
        if category == .llm, let place = runs[scope.run]?.open.removeValue(forKey: event.uuid) {
            runs[scope.run]?.calls[place].endedAt = time
            runs[scope.run]?.calls[place].outputTokens = LearnMachine.outputTokens(event)
        }
        runs[scope.run]?.scopes.remove(event.uuid)
        guard scope.run == key, let run = runs[key] else { return nil }
        order.remove(key)
        forget(key)
        if run.isTooLarge || run.calls.isEmpty { return nil }
        // In the order of their starts, however they came.
        let calls = run.calls.enumerated().sorted {
            ($0.element.startedAt, $0.offset) < ($1.element.startedAt, $1.offset)
        }
        return Finished(
            tenant: tenant, agent: run.agent,
            run: CompletedRun(startedAt: run.startedAt, endedAt: max(time, run.startedAt), calls: calls.map(\.element)))
    }

    private mutating func forget(_ key: Key) {
        guard let run = runs.removeValue(forKey: key) else { return }
        for uuid in run.scopes { scopes[Key(tenant: key.tenant, uuid: uuid)] = nil }
    }

    private static func outputTokens(_ end: Event) -> UInt64 {
        let response = LLMNormalizer.response(
            profile: end.categoryProfile?.value.nonNull, data: end.data?.value.nonNull, pricing: PricingSources())
        return response?.usage?.completionTokens ?? 0
    }

    // MARK: Snapshot

    private static let version: UInt8 = 1

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: LearnMachine.version)
        writer.write(order.count)
        for key in order.inOrder {
            guard let run = runs[key] else { preconditionFailure("what has an age is known") }
            writer.write(key.tenant)
            writer.write(key.uuid)
            writer.write(run.agent)
            writer.write(run.startedAt)
            writer.write(run.isTooLarge ? 1 : 0)
            let numbers = Dictionary(uniqueKeysWithValues: run.open.map { ($0.value, $0.key) })
            writer.write(run.calls.count)
            for (place, call) in run.calls.enumerated() {
                writer.write(call.name)
                LearnMachine.write(call.scopePath, to: &writer)
                writer.write(call.startedAt)
                writer.write(call.endedAt) { $0.write($1) }
                writer.write(call.outputTokens)
                writer.write(numbers[place]) { $0.write($1) }
            }
            writer.write(run.scopes.count)
            for uuid in run.scopes.sorted(by: { $0.bytes.lexicographicallyPrecedes($1.bytes) }) {
                writer.write(uuid)
                LearnMachine.write(scopes[Key(tenant: key.tenant, uuid: uuid)]?.path ?? [], to: &writer)
            }
        }
        return writer.bytes
    }

    private static func write(_ path: [String], to writer: inout SnapshotWriter) {
        writer.write(path.count)
        for name in path { writer.write(name) }
    }

    private static func readPath(_ reader: inout SnapshotReader) throws(SnapshotError) -> [String] {
        var path: [String] = []
        for _ in 0..<(try reader.readCount()) { path.append(try reader.readText()) }
        return path
    }

    /// Goes on from a snapshot.
    package init(limits: Limits = Limits(), snapshot: [UInt8]) throws(SnapshotError) {
        self.init(limits: limits)
        var reader = try SnapshotReader(snapshot, version: LearnMachine.version)
        for _ in 0..<(try reader.readCount()) {
            let key = Key(tenant: try reader.readText(), uuid: try reader.readUUID())
            var run = Run(agent: try reader.readText(), startedAt: try reader.readNumber())
            run.isTooLarge = try reader.readNumber() != 0
            for place in 0..<(try reader.readCount()) {
                var call = CompletedRun.Call(
                    name: try reader.readText(), scopePath: try LearnMachine.readPath(&reader),
                    startedAt: try reader.readNumber())
                call.endedAt = try reader.readOptional { (reader) throws(SnapshotError) in try reader.readNumber() }
                call.outputTokens = try reader.readNumber()
                let open = try reader.readOptional { (reader) throws(SnapshotError) in try reader.readUUID() }
                if let open { run.open[open] = place }
                run.calls.append(call)
            }
            for _ in 0..<(try reader.readCount()) {
                let uuid = try reader.readUUID()
                run.scopes.insert(uuid)
                scopes[Key(tenant: key.tenant, uuid: uuid)] = Scope(run: key, path: try LearnMachine.readPath(&reader))
            }
            guard runs.updateValue(run, forKey: key) == nil else {
                throw SnapshotError("run \(key.uuid) is in the snapshot twice")
            }
            order.append(key)
        }
        try reader.end()
    }
}
