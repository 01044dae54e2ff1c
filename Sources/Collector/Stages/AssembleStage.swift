internal import ATOF
internal import Foundation
internal import Logging
internal import NATSTransport
internal import Stages
internal import Trajectories

/// Reads PROCESSED and publishes trajectories.
struct AssembleStage: Stage {
    let output: CollectorConfiguration.TrajectoryOutput
    var runs = CollectorConfiguration.Runs()
    var compatibility = Compatibility.skein
    /// Prices; a document is made by those that hold then.
    var policy = CurrentPolicy()

    var name: String { "assemble" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let configuration = runs.assembling
        var assembler = TrajectoryAssembler(configuration: configuration)
        var ledger = Ledger<EventUUID>()
        if let snapshot {
            var reader = try SnapshotReader(snapshot, version: AssembleWorker.snapshotVersion)
            assembler = try TrajectoryAssembler(configuration: configuration, snapshot: try reader.readBlob())
            ledger = try Ledger(snapshot: try reader.readBlob())
            try reader.end()
        }
        return AssembleWorker(
            context, output: output, compatibility: compatibility, policy: policy,
            progressInterval: runs.progressInterval.nanoseconds,
            fileName: try FileNameTemplate(output.fileNameTemplate),
            assembler: assembler, ledger: ledger, position: position)
    }
}

extension CollectorConfiguration.Runs {
    var assembling: TrajectoryAssembler.Configuration {
        var configuration = TrajectoryAssembler.Configuration(order: .tolerant)
        configuration.linger = linger.nanoseconds
        configuration.idle = idle.nanoseconds
        configuration.maximumAge = maximumAge.nanoseconds
        configuration.revise = revise.nanoseconds
        // Longer than a `process` task takes to be taken over, so that a parent that comes by another one is not missed.
        configuration.parentWait = min(configuration.idle, (linger * 30).nanoseconds)
        configuration.maximumOpen = maximumOpen
        configuration.maximumEvents = maximumEvents
        configuration.maximumBytes = maximumBytes
        configuration.maximumHeldBytes = maximumHeldBytes
        configuration.maximumTotalHeldBytes = taskHeldBytes
        return configuration
    }
}

extension CollectorConfiguration.TrajectoryOutput {
    /// The `agent` of every document.
    var agent: AgentDescription {
        AgentDescription(
            name: agentName, version: agentVersion, modelName: modelName, toolDefinitions: toolDefinitions, extra: extra
        )
    }
}

/// Delivers within `receive`: a message is finished when every trajectory that it closed is stored. Trajectories are few compared with
/// events, and the next message may wait for them.
actor AssembleWorker: StageWorker {
    static let snapshotVersion: UInt8 = 2
    /// Progress records of a round: so many are written each `progressInterval`, and the others later.
    private static let progressLimit = 256

    private let context: StageContext
    private let output: CollectorConfiguration.TrajectoryOutput
    private let compatibility: Compatibility
    private let policy: CurrentPolicy
    private let progressInterval: UInt64
    private let fileName: FileNameTemplate
    private let publisher: TrajectoryPublisher
    private var assembler: TrajectoryAssembler
    private var events: Ledger<EventUUID>
    private var received: UInt64

    init(
        _ context: StageContext, output: CollectorConfiguration.TrajectoryOutput, compatibility: Compatibility,
        policy: CurrentPolicy, progressInterval: UInt64, fileName: FileNameTemplate, assembler: TrajectoryAssembler,
        ledger: Ledger<EventUUID>, position: UInt64
    ) {
        self.context = context
        self.output = output
        self.compatibility = compatibility
        self.policy = policy
        self.progressInterval = progressInterval
        self.fileName = fileName
        self.assembler = assembler
        events = ledger
        received = position
        publisher = TrajectoryPublisher(context)
    }

    func receive(_ message: StageMessage) async throws {
        let taken = try await context.events(of: message)
        let before = assembler.counts
        let spilled = assembler.spilled
        var finished = assembler.timeAdvanced(to: message.timeNanoseconds)
        for (event, reference) in taken.events {
            finished += assembler.receive(event, at: reference, tenant: taken.tenant)
        }
        enter(taken.events.map(\.event), taken.tenant, refused: taken.refused, isReplay: message.isReplay)
        count(since: before, events: taken.events.count, spilled: assembler.spilled - spilled)
        for trajectory in finished { try await deliver(trajectory) }
        for (tenant, id) in assembler.takeRetired() { await publisher.removeProgress(tenant: tenant, id: id) }
        await publisher.publish(
            assembler.takeProgress(interval: progressInterval, limit: AssembleWorker.progressLimit))
        received = message.sequence
    }

    private func deliver(_ trajectory: FinishedTrajectory) async throws {
        let spilled = trajectory.members.lazy.filter { $0.packed == nil }.map(\.reference)
        let read =
            spilled.isEmpty
            ? [:] : try await EventArchive.packedEvents(at: Array(spilled), from: context.jetStream)
        var packed: [[UInt8]] = []
        var unavailable: [EventReference] = []
        for member in trajectory.members {
            if let bytes = member.packed ?? read[member.reference] {
                packed.append(bytes)
            } else {
                unavailable.append(member.reference)
            }
        }
        if !unavailable.isEmpty {
            context.metrics.add("skein_events_unassembled_total", unavailable.count, ["reason": "unavailable"])
            context.logger.warning(
                "events of a trajectory are gone from the stream",
                metadata: [
                    "trajectory": "\(trajectory.id)", "revision": "\(trajectory.revision)",
                    "events": "\(unavailable.count)",
                ])
            if trajectory.revision > 1 {
                // What is published has more than what could still be read.
                context.metrics.add("skein_trajectory_revisions_skipped_total")
                return
            }
        }
        let built = trajectory.document(
            by: output.agent, compatibility, pricing: policy.version.pricing, of: packed, unavailable: unavailable)
        let body = DocumentWriter.bytes(of: built.draft, expected: built.expectedBytes)
        try await publisher.publish(trajectory, body, file: file(of: trajectory, built.openerMetadata))
        if trajectory.hadProgress { await publisher.removeProgress(tenant: trajectory.tenant, id: trajectory.id) }
    }

    /// The name under which stores keep the document; nil when none can be made.
    private func file(of trajectory: FinishedTrajectory, _ metadata: JSONValue?) -> String? {
        do throws(FileNameError) {
            return try fileName.render(
                sessionID: trajectory.id.description, tenant: trajectory.tenant, metadata: metadata)
        } catch {
            context.logger.warning(
                "trajectory has no file name, so no store keeps it",
                metadata: [
                    "diagnostic": "atif.destination_render_failed", "key": "components.config.atif.filename_template",
                    "trajectory": "\(trajectory.id)", "error": "\(error)",
                ])
            context.metrics.add("skein_trajectories_unnamed_total")
            return nil
        }
    }

    // MARK: Accounts

    private func enter(_ taken: [Event], _ tenant: String, refused: Int, isReplay: Bool) {
        var start = taken.startIndex
        while start < taken.endIndex {
            let root = TrajectoryAssembler.root(of: taken[start])
            let end = taken[start...].firstIndex { TrajectoryAssembler.root(of: $0) != root } ?? taken.endIndex
            events.add(end - start, .received, tenant: tenant, key: root)
            if isReplay { events.add(end - start, .replayed, tenant: tenant, key: root) }
            start = end
        }
        events.add(refused, .received, tenant: tenant, key: .noRoot)
        if isReplay { events.add(refused, .replayed, tenant: tenant, key: .noRoot) }
        events.add(refused, .deadLettered, tenant: tenant, key: .noRoot)
        for settlement in assembler.takeSettlements() {
            events.add(settlement.assembled, .assembled, tenant: settlement.tenant, key: settlement.root)
            events.add(settlement.unassembled, .unassembled, tenant: settlement.tenant, key: settlement.root)
        }
    }

    private func count(since before: AssemblerCounts, events: Int, spilled: UInt64) {
        let now = assembler.counts
        let metrics = context.metrics
        metrics.add("skein_events_received_total", events, ["stage": "assemble"])
        for (reason, field) in AssembleWorker.reasons {
            metrics.add(
                "skein_events_unassembled_total", Int(clamping: now[keyPath: field] - before[keyPath: field]),
                ["reason": reason])
        }
        for (state, field) in AssembleWorker.closings {
            metrics.add(
                "skein_trajectories_closed_total", Int(clamping: now[keyPath: field] - before[keyPath: field]),
                ["state": state])
        }
        for (name, field) in AssembleWorker.totals {
            metrics.add(name, Int(clamping: now[keyPath: field] - before[keyPath: field]))
        }
        metrics.add("skein_trajectories_spilled_total", Int(clamping: spilled))
        metrics.set("skein_open_trajectories", Double(assembler.openCount), context.labels)
        metrics.set("skein_closed_trajectories", Double(assembler.closedCount), context.labels)
        metrics.set("skein_orphan_events", Double(assembler.orphanCount), context.labels)
        metrics.set("skein_held_payload_bytes", Double(assembler.heldPayloadBytes), context.labels)
    }

    private static let reasons: [(String, any KeyPath<AssemblerCounts, UInt64> & Sendable)] = [
        ("duplicate", \.duplicate), ("unowned", \.unowned), ("late", \.late), ("over_limit", \.overLimit),
        ("orphan_limit", \.orphanLimit),
    ]

    private static let closings: [(String, any KeyPath<AssemblerCounts, UInt64> & Sendable)] = [
        ("complete", \.completed), ("idle", \.abandonedIdle), ("max_age", \.abandonedAge),
        ("max_open", \.abandonedOpen),
    ]

    private static let totals: [(String, any KeyPath<AssemblerCounts, UInt64> & Sendable)] = [
        ("skein_events_late_total", \.revising), ("skein_events_orphaned_total", \.orphaned),
        ("skein_trajectories_merged_total", \.merged), ("skein_trajectories_forgotten_total", \.forgottenEarly),
    ]

    // MARK: State

    func snapshot() -> StageSnapshot {
        var writer = SnapshotWriter(version: AssembleWorker.snapshotVersion)
        writer.write(assembler.snapshot())
        writer.write(events.snapshot())
        return StageSnapshot(bytes: writer.bytes, oldestReference: assembler.oldestReference?.sequence)
    }

    func confirmed() -> UInt64 { received }

    func deadline() -> UInt64? {
        [assembler.nextDeadline(), assembler.progressDeadline(interval: progressInterval)].compactMap(\.self).min()
    }

    func ledger() -> [LedgerRow] { events.rows }

    func flush() {}

    func run() async throws {
        // Nothing is delivered beside `receive`; this only ends with the task.
        for await _ in AsyncStream<Void>.makeStream().stream {}
        try Task.checkCancellation()
    }
}
