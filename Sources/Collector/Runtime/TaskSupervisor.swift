internal import Logging
internal import NATSTransport
internal import Stages

/// Runs the tasks that this member is to run: looks at the members now and then, takes what became its own and is free, and gives up
/// what became another's.
actor TaskSupervisor {
    private struct Running {
        let task: StageTask
        var isStopping = false
    }

    private let membership: Membership
    private let environment: StageEnvironment
    private let stages: [String: any Stage]
    private var timeToLive: Duration { membership.timeToLive }
    private var running: [TaskKey: Running] = [:]
    /// Tasks that ended here though their records may still name this member: nobody else takes them before that is taken back.
    private var unreleased: Set<TaskKey> = []
    /// The records, for questions that must not keep a renewal waiting for long.
    private let records: KeyValueBucket
    private var isLeaving = false
    private let starts = AsyncStream.makeStream(of: StageTask.self)
    private let looks = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let onStart: @Sendable () -> Void
    private var hasStarted = false
    /// The members that were seen last, with their hosts.
    private var seen: [String: String] = [:]
    private let policy: CurrentPolicy
    private var comparison: PolicyComparison
    private let origin = ContinuousClock.now

    /// - Parameters:
    ///   - policy: is compared with the other members'.
    ///   - onStart: called once this member may own tasks.
    init(
        _ membership: Membership, _ environment: StageEnvironment, stages: [any Stage], policy: CurrentPolicy,
        onStart: @escaping @Sendable () -> Void
    ) {
        self.policy = policy
        comparison = PolicyComparison(patience: membership.timeToLive)
        self.membership = membership
        self.environment = environment
        self.stages = Dictionary(uniqueKeysWithValues: stages.map { ($0.name, $0) })
        records = environment.state.over(
            JetStream(
                environment.jetStream.connection, timeout: max(membership.timeToLive / 8, .milliseconds(250))))
        self.onStart = onStart
    }

    /// Runs until `leave` is done.
    ///
    /// - Throws: cancellation; then everything is abandoned.
    func run() async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await self.runTasks() }
                group.addTask { try await self.watchLease() }
                group.addTask { try await self.remind() }
                group.addTask { try await self.listen() }
                group.addTask { try await self.look() }
                // `look` ends when everything is handed over.
                try await group.next()
                group.cancelAll()
            }
        } catch {
            await abandonAll()
            throw error
        }
    }

    /// Hands all tasks over; `run` returns then.
    func leave() async {
        if !isLeaving {
            environment.logger.notice("stopping, the tasks are handed over", metadata: ["tasks": "\(running.count)"])
        }
        isLeaving = true
        looks.continuation.yield()
    }

    /// The tasks that run here, and those that are to.
    func tasks() -> [StageTask] { running.values.filter { !$0.isStopping }.map(\.task) }

    /// The tasks that run here if they are all that this member is to run. Nil also while its lease has ended, for then nobody knows what it
    /// is to run.
    func completeTasks() -> [StageTask]? {
        let wanted = wanted()
        guard environment.lease.standing == .active, wanted == Set(running.keys) else { return nil }
        return running.values.contains(where: \.isStopping) ? nil : tasks()
    }

    /// What this member is to run and does not run yet.
    func missing() -> [TaskKey] { wanted().filter { running[$0] == nil }.sorted { $0.description < $1.description } }

    /// Whether this member does what all members do only once: whoever has the first partition of `process`.
    func isFirst() -> Bool { running[TaskKey(stage: "process", partition: 0)] != nil }

    // MARK: Parts

    private func runTasks() async {
        await withDiscardingTaskGroup { group in
            for await task in starts.stream {
                group.addTask {
                    let ending = await task.run()
                    await self.ended(task, ending)
                }
            }
        }
    }

    private func ended(_ task: StageTask, _ ending: StageTask.Ending) async {
        running[task.key] = nil
        showTasks()
        switch ending {
        case .released:
            looks.continuation.yield()
            await tell()
        // Whoever has it now has just taken it: the next look is early enough.
        case .fenced, .abandoned:
            unreleased.insert(task.key)
            if isLeaving { looks.continuation.yield() }
        }
    }

    /// Ends everything as soon as the lease does.
    private func watchLease() async throws {
        while true {
            let remaining = environment.lease.remaining ?? timeToLive / 4
            try await Task.sleep(for: max(remaining, .milliseconds(5)))
            guard environment.lease.timePassed() else { continue }
            environment.metrics.add("skein_lease_lapses_total")
            environment.logger.error(
                "the lease was not renewed in time, all tasks end here until it is", metadata: ["ttl": "\(timeToLive)"])
            await abandonAll()
        }
    }

    private func remind() async throws {
        while true {
            looks.continuation.yield()
            try await Task.sleep(for: timeToLive / 5)
        }
    }

    private func listen() async throws {
        for await _ in try await membership.whenTold() { looks.continuation.yield() }
        // The connection is closed; whoever watches it ends the collector.
        try await Task.sleep(for: .seconds(3600))
    }

    private func look() async throws {
        for await _ in looks.stream {
            try Task.checkCancellation()
            await renew()
            await adjust()
            if isLeaving, running.isEmpty { break }
        }
        try Task.checkCancellation()
        environment.logger.notice("stopped")
        do {
            try await membership.leave()
        } catch {
            // It goes by itself when its time is over.
            environment.logger.debug("announcement not taken back", metadata: ["error": "\(error)"])
        }
    }

    private func renew() async {
        let sent = ContinuousClock.now
        do {
            let sightings = try await membership.renew(
                isLeaving: isLeaving, isSettling: environment.lease.announcesSettling,
                policy: policy.version.fingerprint)
            environment.lease.renewed(sent: sent, sightings: sightings)
            environment.metrics.set("skein_members", Double(environment.lease.members.count))
            tellChanges(sightings)
            comparePolicies(sightings)
        } catch {
            environment.metrics.add("skein_lease_failures_total")
            if let suppressed = environment.outages.admit("lease renewals") {
                environment.logger.warning(
                    "the lease was not renewed, the next try follows",
                    metadata: ["error": "\(error)", "suppressed": "\(suppressed)"])
            }
        }
        if !hasStarted, environment.lease.standing == .active {
            hasStarted = true
            environment.logger.notice(
                "this member takes part",
                metadata: ["id": "\(environment.owner)", "stages": "\(stages.keys.sorted().joined(separator: ", "))"])
            onStart()
        }
    }

    /// Says in the log who has come and who has gone.
    private func tellChanges(_ sightings: [MembershipMachine.Sighting]) {
        let hosts = Dictionary(sightings.map { ($0.member.id, $0.host) }) { first, _ in first }
        for id in environment.lease.members.subtracting(seen.keys).sorted() {
            seen[id] = hosts[id] ?? ""
            if id == environment.owner { continue }
            environment.logger.notice(
                "another member is there", metadata: ["id": "\(id)", "host": "\(hosts[id] ?? "")"])
        }
        for id in Set(seen.keys).subtracting(environment.lease.members).sorted() {
            let host = seen.removeValue(forKey: id) ?? ""
            if id == environment.owner { continue }
            environment.logger.notice(
                "another member is gone, its tasks are shared out", metadata: ["id": "\(id)", "host": "\(host)"])
        }
    }

    /// Says once for each difference that lasts that what becomes of an event depends on the member that it comes to.
    private func comparePolicies(_ sightings: [MembershipMachine.Sighting]) {
        let own = policy.version.fingerprint
        let others = sightings.filter {
            $0.member.id != environment.owner && !$0.isLeaving && environment.lease.members.contains($0.member.id)
        }
        let notice = comparison.compared(own, with: others, now: ContinuousClock.now - origin)
        environment.metrics.set("skein_members_with_other_policy", Double(comparison.differing))
        switch notice {
        case .differ(let found):
            let hosts = Dictionary(others.map { ($0.member.id, $0.host) }) { first, _ in first }
            let members = found.sorted { $0.key < $1.key }.map { policy, ids in
                "\(policy): \(ids.map { "\($0.prefix(8)) on \(hosts[$0] ?? "")" }.joined(separator: ", "))"
            }
            environment.logger.warning(
                "other members have another policy, so what holds depends on who gets an event or a question; give all the same files",
                metadata: ["policy": "\(own)", "others": "\(members.joined(separator: "; "))"])
        case .agree: environment.logger.notice("all members have the same policy again", metadata: ["policy": "\(own)"])
        case nil: break
        }
    }

    // MARK: Tasks

    private func wanted() -> Set<TaskKey> {
        if isLeaving { return [] }
        // What members announce beside their stages has no tasks.
        let tasks = environment.lease.tasks.filter { stages[$0.stage] != nil }
        return Set(tasks.map { TaskKey(stage: $0.stage, partition: $0.partition) })
    }

    private func adjust() async {
        switch environment.lease.standing {
        case .active: break
        case .joining, .settling, .lapsed:
            // While leaving the tasks end in their own time; without a lease they must not.
            if !environment.lease.isValid || !isLeaving {
                await abandonAll()
                // The others do without this one meanwhile, and must not wait for what it has.
                if environment.lease.isValid { await releaseLeftovers(besides: []) }
                return
            }
        }
        let wanted = wanted()
        for (key, entry) in running where !wanted.contains(key) && !entry.isStopping {
            running[key]?.isStopping = true
            Task { await entry.task.stop() }
        }
        await releaseLeftovers(besides: wanted)
        let free = await free(among: wanted.subtracting(running.keys))
        // Meanwhile the lease may have ended, or this member been told to leave.
        let stillWanted = self.wanted()
        var taken: [TaskKey] = []
        for key in free.sorted(by: { $0.description < $1.description }) {
            guard let stage = stages[key.stage], stillWanted.contains(key), running[key] == nil else { continue }
            let task = StageTask(stage: stage, partition: key.partition, environment: environment)
            running[key] = Running(task: task)
            unreleased.remove(key)
            starts.continuation.yield(task)
            taken.append(key)
        }
        if !taken.isEmpty {
            environment.logger.info(
                "tasks taken",
                metadata: [
                    "tasks": "\(taken.map { "\($0.stage)/\($0.partition)" }.joined(separator: ", "))",
                    "running": "\(running.count)",
                ])
        }
        showTasks()
    }

    /// Those whose records say that they may be taken now. What cannot be read is left to the next look. All are asked for at once: however
    /// slow the broker is, the next renewal has to come in time.
    private func free(among keys: Set<TaskKey>) async -> [TaskKey] {
        await withTaskGroup(of: TaskKey?.self) { group in
            for key in keys { group.addTask { await self.isFree(key) ? key : nil } }
            var free: [TaskKey] = []
            for await case let key? in group { free.append(key) }
            return free
        }
    }

    private func isFree(_ key: TaskKey) async -> Bool {
        do {
            guard let entry = try await records.get(key.description, fromLeader: true) else { return true }
            return environment.lease.mayTake(from: try TaskStore.decode(entry.value, key).owner)
        } catch is CollectorError {
            // The task says itself what is wrong with its record.
            return true
        } catch {
            return false
        }
    }

    /// Gives away what ended here without being released and is another's now.
    private func releaseLeftovers(besides wanted: Set<TaskKey>) async {
        let leftovers = unreleased.subtracting(wanted).filter { running[$0] == nil }
        if leftovers.isEmpty { return }
        let (records, owner) = (records, environment.owner)
        let released = await withTaskGroup(of: TaskKey?.self) { group in
            for key in leftovers {
                group.addTask {
                    do {
                        try await TaskStore.release(key, of: owner, in: records)
                    } catch is NATSError {
                        // The next look tries again.
                        return nil
                    } catch {
                        // A record that cannot be read names nobody.
                    }
                    return key
                }
            }
            var released: Set<TaskKey> = []
            for await case let key? in group { released.insert(key) }
            return released
        }
        unreleased.subtract(released)
        if !released.isEmpty { await tell() }
    }

    private func abandonAll() async {
        for entry in running.values { await entry.task.abandon() }
    }

    private func showTasks() {
        for stage in stages.keys {
            let count = running.keys.count { $0.stage == stage }
            environment.metrics.set("skein_member_tasks", Double(count), ["stage": stage])
        }
    }

    private func tell() async {
        do {
            try await membership.tell()
        } catch {
            // The others look by themselves.
            environment.logger.debug("change not told", metadata: ["error": "\(error)"])
        }
    }
}
