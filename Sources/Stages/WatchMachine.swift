package import ATOF
package import LLMCodecs
package import Middleware

/// The `watch` stage: counts what the rules on runs are about, by trajectory, and says which of them fire.
///
/// A pure machine. Time is the log's, so that who reads the same messages again says the same again, under the same ids. It counts calls
/// and scopes; guardrails' scopes and marks count for nothing, so that a verdict never causes another one.
package struct WatchMachine: Sendable {
    /// The bounds of what is kept. All tenants share them: who has the most scopes and runs gives first.
    package struct Limits: Sendable, Hashable {
        package var openScopes = 65_536
        package var closedScopes = 16_384
        /// Trajectories whose opening scope has not ended, and those whose has. Beyond it that one is forgotten of which nothing came for
        /// longest; what comes of it later is counted anew.
        package var openRuns = 4096
        package var endedRuns = 1024
        /// Sums of agents and tenants.
        package var sums = 4096
        /// How long what was counted for a sum over partitions may wait before it is told, in nanoseconds.
        package var shareInterval: UInt64 = 1_000_000_000

        package init() {}
    }

    /// What comes of a message.
    package struct Output: Sendable {
        package fileprivate(set) var alerts: [PolicyAlert] = []
        package fileprivate(set) var verdicts: [Verdict] = []

        package init() {}
    }

    private let partition: UInt64
    private let partitioning: Partitioning
    private var rules: [WatchedRule] = []
    private var pricing: PricingSources
    private let limits: Limits
    private var readsUsage = false
    private var readsModels = false

    /// Log time, nanoseconds since 1970.
    private var now: UInt64 = 0
    private var scopes: WatchedScopes
    private var runs: [WatchedScopes.Key: WatchedRun] = [:]
    private var openRuns = FairAgeOrder<WatchedScopes.Key>()
    private var endedRuns = FairAgeOrder<WatchedScopes.Key>()
    private var sums: WatchedSums
    /// When the next trajectory will have lasted too long.
    private var nextOverdue = UInt64.max
    package private(set) var forgottenRuns: UInt64 = 0

    /// - Parameter rules: those on runs are taken.
    package init(
        partition: Int, partitioning: Partitioning, rules: GuardrailRules, pricing: PricingSources = PricingSources(),
        limits: Limits = Limits()
    ) {
        self.partition = UInt64(partition)
        self.partitioning = partitioning
        self.pricing = pricing
        self.limits = limits
        scopes = WatchedScopes(openLimit: limits.openScopes, closedLimit: limits.closedScopes)
        sums = WatchedSums(limit: limits.sums)
        take(rules)
    }

    private mutating func take(_ rules: GuardrailRules) {
        let onRuns = rules.onRuns
        self.rules = onRuns.map { WatchedRule($0) }
        readsUsage = onRuns.contains { rule in
            guard let measure = rule.budget?.measure else { return false }
            return measure == .tokens || measure == .cost
        }
        readsModels = onRuns.contains { !$0.selection.names.isEmpty }
    }

    /// Goes on with other rules and prices from the next event on.
    ///
    /// What was counted for a rule goes on counting for one of the same name that counts the same, whatever its limit; all else that was
    /// counted is forgotten. A call costs what it does by the prices that hold when it ends.
    package mutating func replace(rules: GuardrailRules, pricing: PricingSources) {
        take(rules)
        self.pricing = pricing
        forgetOtherCounts()
    }

    private mutating func forgetOtherCounts() {
        let counts = Set(rules.map(\.count))
        runs = runs.mapValues { run in
            var run = run
            run.tallies = run.tallies.filter { counts.contains($0.key) }
            return run
        }
        sums.forget { !counts.contains($0.count) }
        nextOverdue = openRuns.inOrder.compactMap { overdue($0) }.min() ?? .max
    }

    package var openRunCount: Int { openRuns.count }
    package var forgottenSums: UInt64 { sums.forgotten }

    // MARK: Input

    /// Takes note of the time of the log; it never goes back.
    package mutating func timeAdvanced(to time: UInt64, into output: inout Output) {
        now = max(now, time)
        guard now >= nextOverdue else { return }
        for key in openRuns.inOrder { checkWallTime(of: key, &output) }
        nextOverdue = openRuns.inOrder.compactMap { overdue($0) }.min() ?? .max
    }

    package mutating func receive(_ event: Event, tenant: String, into output: inout Output) {
        guard let category = event.category?.known, category != .guardrail else { return }
        switch event.kind {
        case .mark: return
        case .scopeStart: started(event, category, tenant, &output)
        case .scopeEnd: ended(event, category, tenant, &output)
        }
    }

    /// Takes in what a task of another partition, or this one, has counted.
    ///
    /// - Throws: `SnapshotError` for what no task has sent.
    package mutating func receive(shares payload: [UInt8], into output: inout Output) throws(SnapshotError) {
        let (source, shares) = try Share.decode(payload)
        for share in shares {
            // What is counted for a rule that is no longer there counts for nothing.
            guard let rule = rules.first(where: { $0.count == share.key.count })?.rule, let budget = rule.budget,
                let exceeded = sums.receive(share, from: source, budget: budget, at: now)
            else { continue }
            var alert = PolicyAlert(
                rule: rule.name, tenant: share.key.tenant, time: now,
                message: "\(rule.reason) (\(Firing.text(of: budget, exceeded.sum)))",
                occasion: "\(share.key.agent)/\(exceeded.part)")
            alert.agent = share.key.agent.isEmpty ? nil : share.key.agent
            alert.counts = Firing.counts(of: budget, exceeded.sum)
            output.alerts.append(alert)
        }
    }

    /// When time alone changes something; nil when it does not.
    package var deadline: UInt64? {
        let share = sums.untoldSince.map { $0 + limits.shareInterval }
        return [share, nextOverdue == .max ? nil : nextOverdue].compactMap(\.self).min()
    }

    // MARK: Shares

    /// What has waited for long enough to be told, by the partition whose task decides about it.
    ///
    /// - Parameter now: tells what has not waited yet, too.
    package mutating func takeShares(now tellsAll: Bool = false) -> [Shares] {
        guard let since = sums.untoldSince, tellsAll || now >= since + limits.shareInterval else { return [] }
        let byPartition = Dictionary(grouping: sums.takeUntold()) { share in
            partitioning.partition(ofTenant: share.key.tenant, key: "\(share.key.count)/\(share.key.agent)")
        }
        return byPartition.sorted { $0.key < $1.key }.map {
            Shares(partition: $0.key, shares: $0.value, source: partition)
        }
    }

    /// What could not be told after all.
    package mutating func takeBack(_ shares: Shares) { sums.takeBack(shares.shares, at: now) }

    /// A message of `SkeinSubjects.shares`.
    package struct Shares: Sendable {
        package let partition: Int
        let shares: [Share]
        let source: UInt64

        package var payload: [UInt8] { Share.encode(shares, from: source) }
    }

    // MARK: Scopes

    private mutating func started(
        _ event: Event, _ category: Event.Category.Known, _ tenant: String, _ output: inout Output
    ) {
        let key = WatchedScopes.Key(tenant: tenant, uuid: event.uuid)
        let known = scopes[key]
        if known?.hasStarted == true { return }
        let above = event.parentUUID.flatMap { scopes[.init(tenant: tenant, uuid: $0)] }
        let name = event.name.prefix(utf8Count: 200)
        let root = event.rootUUID ?? event.uuid
        var scope = WatchedScopes.Scope(
            trajectory: above?.trajectory ?? (opens(event, category) ? event.uuid : root),
            agent: category == .agent ? name : above?.agent, depth: (above?.depth ?? 0) + 1, hasStarted: true)
        scope.hasEnded = known?.hasEnded ?? false
        scopes.insert(scope, as: key)
        let run = touch(
            .init(tenant: tenant, uuid: scope.trajectory), root: root, name: name, agent: scope.agent,
            isTrajectory: scope.trajectory == event.uuid)
        let siblings = event.parentUUID.flatMap { scopes.addChild(of: .init(tenant: tenant, uuid: $0)) }
        let happening = Happening(
            event: event, name: name, category: category, tenant: tenant, scope: scope, readsModel: readsModels)
        let call = GuardRequest.Kind(category)
        for watched in rules where happening.isChosen(by: watched.rule) {
            switch watched.rule.condition {
            case .budget(let budget):
                if let call, budget.measure == .calls || budget.measure == .toolCalls || budget.measure == .llmCalls,
                    budget.measure.counts(call)
                {
                    add(1, to: budget, of: watched, run, happening, &output)
                } else if budget.measure == .depth {
                    raise(to: scope.depth, budget, of: watched, run, happening, &output)
                } else if budget.measure == .fanOut, let siblings {
                    raise(to: siblings, budget, of: watched, run, happening, &output)
                }
            case .loop(let loop):
                guard let call, call == GuardRequest.Kind(loop.call) else { continue }
                // Without what it was called with a call is like every other one: nobody knows whether it is.
                guard let data = event.data else { continue }
                let print = Fingerprint(event.name, WatchMachine.asked(of: call, data.value))
                guard let count = runs[run]?.tallies[watched.count, default: .init()].note(print, for: loop, at: now)
                else { continue }
                fire(
                    watched.rule, run, happening, text: "\(count) equal calls",
                    ["calls": count, "limit": UInt64(loop.repeats - 1)], &output)
            case .tools, .arguments, .content: continue
            }
        }
    }

    /// What makes two calls of a name equal: of a model the body alone, because headers differ from request to request.
    private static func asked(of call: GuardRequest.Kind, _ data: JSONValue) -> String {
        switch call {
        case .tool: data.compactText
        case .llm: (LLMNormalizer.body(of: data) ?? data).compactText
        }
    }

    private mutating func ended(
        _ event: Event, _ category: Event.Category.Known, _ tenant: String, _ output: inout Output
    ) {
        let key = WatchedScopes.Key(tenant: tenant, uuid: event.uuid)
        let root = event.rootUUID ?? event.uuid
        let above = event.parentUUID.flatMap { scopes[.init(tenant: tenant, uuid: $0)] }
        var scope =
            scopes[key]
            ?? WatchedScopes.Scope(
                trajectory: above?.trajectory ?? root, agent: above?.agent, depth: (above?.depth ?? 0) + 1,
                hasStarted: false)
        if scope.hasEnded { return }
        scope.hasEnded = true
        scopes.insert(scope, as: key)
        let run = WatchedScopes.Key(tenant: tenant, uuid: scope.trajectory)
        if category == .llm, readsUsage {
            let name = event.name.prefix(utf8Count: 200)
            _ = touch(run, root: root, name: name, agent: scope.agent, isTrajectory: false)
            let usage = CallUsage(end: event, pricing: pricing)
            let happening = Happening(
                event: event, name: name, category: category, tenant: tenant, scope: scope, readsModel: readsModels)
            for watched in rules where happening.isChosen(by: watched.rule) {
                guard let budget = watched.rule.budget else { continue }
                if budget.measure == .tokens { add(usage.tokens, to: budget, of: watched, run, happening, &output) }
                if budget.measure == .cost { add(usage.cost, to: budget, of: watched, run, happening, &output) }
            }
        }
        if event.uuid == scope.trajectory, runs[run] != nil {
            checkWallTime(of: run, &output)
            runs[run]?.hasEnded = true
            openRuns.remove(run)
            endedRuns.append(run)
            makeRoom()
        }
    }

    /// As a trajectory is opened (`atif-trajectories.md` 2).
    private func opens(_ event: Event, _ category: Event.Category.Known) -> Bool {
        category == .agent || category == .custom && event.metadata?.value["nemo_relay_scope_role"] == "turn"
    }

    // MARK: Runs

    /// Something came of a run: it is the last to be forgotten.
    ///
    /// - Parameter isTrajectory: whether the scope that opens it is what came; else its key is a run's root, of which nothing may ever come.
    private mutating func touch(
        _ key: WatchedScopes.Key, root: EventUUID, name: String, agent: String?, isTrajectory: Bool
    ) -> WatchedScopes.Key {
        if let run = runs[key] {
            if run.hasEnded { endedRuns.append(key) } else { openRuns.append(key) }
            return key
        }
        runs[key] = WatchedRun(
            openedAt: now, root: root, name: name, agent: agent, isTrajectory: isTrajectory)
        openRuns.append(key)
        if let due = overdue(key) { nextOverdue = min(nextOverdue, due) }
        makeRoom()
        return key
    }

    private mutating func makeRoom() {
        while openRuns.count > limits.openRuns, let oldest = openRuns.removeFirst() {
            runs[oldest] = nil
            forgottenRuns += 1
        }
        while endedRuns.count > limits.endedRuns, let oldest = endedRuns.removeFirst() { runs[oldest] = nil }
    }

    /// The rules on how long a trajectory may last that have not fired for it.
    private func wallTimes(_ key: WatchedScopes.Key) -> [(watched: WatchedRule, budget: GuardrailRule.Budget)] {
        guard let run = runs[key], run.isTrajectory else { return [] }
        return rules.compactMap { watched in
            let rule = watched.rule
            guard let budget = rule.budget, budget.measure == .wallTime, run.tallies[watched.count]?.firedAt == nil,
                rule.selection.matches(tenant: key.tenant), rule.selection.matches(agent: run.agent),
                rule.selection.names.isEmpty || rule.selection.names.matches(run.name)
            else { return nil }
            return (watched, budget)
        }
    }

    private func overdue(_ key: WatchedScopes.Key) -> UInt64? {
        guard let run = runs[key] else { return nil }
        return wallTimes(key).map { run.openedAt.addingReportingOverflow($0.budget.limit) }.filter { !$0.overflow }
            .map { $0.partialValue == .max ? .max : $0.partialValue + 1 }.min()
    }

    private mutating func checkWallTime(of key: WatchedScopes.Key, _ output: inout Output) {
        for (watched, budget) in wallTimes(key) {
            guard let run = runs[key], now > run.openedAt,
                let lasted = runs[key]?.tallies[watched.count, default: .init()].raise(
                    to: now - run.openedAt, of: budget, at: now)
            else { continue }
            fire(
                watched.rule, key,
                Happening(
                    uuid: key.uuid, parent: key.uuid, name: run.name, category: .agent, tenant: key.tenant,
                    agent: run.agent, time: EventTime(epochNanoseconds: now)),
                text: Firing.text(of: budget, lasted), Firing.counts(of: budget, lasted), &output)
        }
    }

    // MARK: Counting

    private mutating func add(
        _ amount: UInt64, to budget: GuardrailRule.Budget, of watched: WatchedRule, _ run: WatchedScopes.Key,
        _ happening: Happening, _ output: inout Output
    ) {
        if amount == 0 { return }
        switch (budget.owner, budget.window) {
        case (.tenant, let window?):
            sums.count(
                amount, for: .init(count: watched.count, tenant: happening.tenant, agent: ""), window: window, at: now)
        case (.agent, let window?):
            sums.count(
                amount,
                for: .init(count: watched.count, tenant: happening.tenant, agent: happening.agent ?? ""),
                window: window, at: now)
        case (.trajectory, _), (.agent, nil), (.tenant, nil):
            guard let sum = runs[run]?.tallies[watched.count, default: .init()].add(amount, to: budget, at: now)
            else { return }
            fire(
                watched.rule, run, happening, text: Firing.text(of: budget, sum), Firing.counts(of: budget, sum),
                &output)
        }
    }

    private mutating func raise(
        to amount: UInt64, _ budget: GuardrailRule.Budget, of watched: WatchedRule, _ run: WatchedScopes.Key,
        _ happening: Happening, _ output: inout Output
    ) {
        guard let highest = runs[run]?.tallies[watched.count, default: .init()].raise(to: amount, of: budget, at: now)
        else { return }
        fire(
            watched.rule, run, happening, text: Firing.text(of: budget, highest), Firing.counts(of: budget, highest),
            &output)
    }

    private func fire(
        _ rule: GuardrailRule, _ run: WatchedScopes.Key, _ happening: Happening, text: String,
        _ counts: [String: UInt64],
        _ output: inout Output
    ) {
        let root = runs[run]?.root ?? run.uuid
        if rule.actions.contains(.alert) {
            var alert = PolicyAlert(
                rule: rule.name, tenant: run.tenant, time: now, message: "\(rule.reason) (\(text))",
                occasion: "\(run.uuid)/\(happening.uuid)")
            (alert.root, alert.trajectory, alert.agent) = (root, run.uuid, happening.agent)
            (alert.event, alert.counts) = (happening.uuid, counts)
            output.alerts.append(alert)
        }
        if rule.actions.contains(.verdict) {
            output.verdicts.append(
                Verdict(
                    rule: rule.name, reason: rule.reason, tenant: run.tenant, trajectory: run.uuid, root: root,
                    happening: happening, counts: counts))
        }
    }

    // MARK: Snapshot

    private static let version: UInt8 = 1

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: WatchMachine.version)
        writer.write(now)
        scopes.write(to: &writer)
        for order in [openRuns, endedRuns] {
            writer.write(order.count)
            for key in order.inOrder {
                guard let run = runs[key] else { preconditionFailure("what has an age is known") }
                writer.write(key.tenant)
                writer.write(key.uuid)
                run.write(to: &writer)
            }
        }
        sums.write(to: &writer)
        return writer.bytes
    }

    /// Goes on from a snapshot, with other rules as `replace` does.
    package init(
        partition: Int, partitioning: Partitioning, rules: GuardrailRules, pricing: PricingSources = PricingSources(),
        limits: Limits = Limits(), snapshot: [UInt8]
    ) throws(SnapshotError) {
        self.init(
            partition: partition, partitioning: partitioning, rules: rules, pricing: pricing, limits: limits)
        var reader = try SnapshotReader(snapshot, version: WatchMachine.version)
        now = try reader.readNumber()
        try scopes.restore(from: &reader)
        for isOpen in [true, false] {
            for _ in 0..<(try reader.readCount()) {
                let key = WatchedScopes.Key(tenant: try reader.readText(), uuid: try reader.readUUID())
                let run = try WatchedRun(from: &reader)
                guard runs.updateValue(run, forKey: key) == nil else {
                    throw SnapshotError("run \(key.uuid) is in the snapshot twice")
                }
                if isOpen { openRuns.append(key) } else { endedRuns.append(key) }
            }
        }
        try sums.restore(from: &reader)
        try reader.end()
        forgetOtherCounts()
    }
}

/// A rule on runs, and what is counted for it.
struct WatchedRule: Sendable {
    let rule: GuardrailRule
    /// The rule's name and the shape of its condition: a rule of the same name that counts something else is another count.
    let count: String

    init(_ rule: GuardrailRule) {
        self.rule = rule
        let shape: [String] =
            switch rule.condition {
            case .budget(let budget):
                [budget.measure.rawValue, budget.owner.rawValue, budget.window.map(String.init) ?? ""]
            case .loop(let loop): ["loop", loop.call.rawValue, loop.window.map(String.init) ?? ""]
            case .tools, .arguments, .content: []
            }
        count = ([rule.name] + shape).joined(separator: "/")
    }
}

extension GuardrailRule {
    var budget: Budget? { if case .budget(let budget) = condition { budget } else { nil } }
}

extension GuardRequest.Kind {
    init?(_ category: Event.Category.Known) {
        switch category {
        case .tool: self = .tool
        case .llm: self = .llm
        case .agent, .function, .retriever, .embedder, .reranker, .guardrail, .evaluator, .custom, .unknown: return nil
        }
    }

    init(_ call: GuardrailRule.Loop.Call) {
        switch call {
        case .tool: self = .tool
        case .llm: self = .llm
        }
    }
}
