internal import ATOF
internal import Foundation
internal import Logging
internal import NATSTransport
internal import Stages
internal import Trajectories

/// Reads PROCESSED and publishes finished trajectories; optionally writes them as files too.
struct AssembleStage: Stage {
    let output: CollectorConfiguration.TrajectoryOutput

    var name: String { "assemble" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let configuration = TrajectoryAssembler.Configuration(agent: output.agent)
        var assemblers: [String: TrajectoryAssembler] = [:]
        for (tenant, bytes) in try TenantSnapshots.decode(snapshot) {
            let archive = EventArchive()
            repeat {
                try await archive.fetchMissing(from: context.jetStream)
                assemblers[tenant] = try TrajectoryAssembler(configuration: configuration, snapshot: bytes) {
                    archive.packedEvent(at: $0)
                }
            } while !archive.missing.isEmpty
        }
        return AssembleWorker(
            context, configuration: configuration, files: try output.files(), assemblers: assemblers, position: position
        )
    }
}

extension CollectorConfiguration.TrajectoryOutput {
    /// The `agent` of every document.
    var agent: AgentDescription {
        AgentDescription(
            name: agentName, version: agentVersion, modelName: modelName, toolDefinitions: toolDefinitions, extra: extra
        )
    }

    func files() throws -> TrajectoryFiles? {
        guard let outputDirectory else { return nil }
        return TrajectoryFiles(directory: outputDirectory, template: try FileNameTemplate(fileNameTemplate))
    }
}

/// Delivers within `receive`: a message is finished when every trajectory that it completed is stored. Trajectories are few compared with
/// events, and the next message may wait for them.
actor AssembleWorker: StageWorker {
    private let context: StageContext
    private let configuration: TrajectoryAssembler.Configuration
    private let files: TrajectoryFiles?
    private let publisher: TrajectoryPublisher
    private var assemblers: [String: TrajectoryAssembler]
    private var received: UInt64

    init(
        _ context: StageContext, configuration: TrajectoryAssembler.Configuration, files: TrajectoryFiles?,
        assemblers: [String: TrajectoryAssembler], position: UInt64
    ) {
        self.context = context
        self.configuration = configuration
        self.files = files
        self.assemblers = assemblers
        received = position
        publisher = TrajectoryPublisher(context)
    }

    func receive(_ message: StageMessage) async throws {
        let (tenant, events) = try await context.events(of: message)
        // Taken out, because a second owner of its tables would make the first change to them copy them all.
        var assembler = assemblers.removeValue(forKey: tenant) ?? TrajectoryAssembler(configuration: configuration)
        let before = assembler.counts
        var finished: [FinishedTrajectory] = []
        for (event, reference) in events {
            if let trajectory = assembler.receive(event, at: reference, tenant: tenant) { finished.append(trajectory) }
        }
        assemblers[tenant] = assembler
        count(assembler.counts, since: before, events: events.count)
        for trajectory in finished {
            let body = DocumentWriter.bytes(of: trajectory.document)
            try await files?.write(trajectory, body, context)
            try await publisher.publish(trajectory, tenant: tenant, body)
        }
        received = message.sequence
    }

    private func count(_ now: AssemblerCounts, since before: AssemblerCounts, events: Int) {
        let metrics = context.metrics
        metrics.add("skein_events_received_total", events, ["stage": "assemble"])
        for (reason, field) in AssembleWorker.reasons {
            let amount = now[keyPath: field] - before[keyPath: field]
            metrics.add("skein_events_unassembled_total", Int(clamping: amount), ["reason": reason])
        }
        metrics.set(
            "skein_open_trajectories", Double(assemblers.values.reduce(0) { $0 + $1.openCount }), context.labels)
    }

    private static let reasons: [(String, any KeyPath<AssemblerCounts, UInt64> & Sendable)] = [
        ("duplicate", \.duplicate), ("unowned", \.unowned), ("ended_parent", \.endedParent), ("late", \.late),
        ("over_limit", \.overLimit), ("unavailable", \.unavailable),
    ]

    func snapshot() -> StageSnapshot {
        StageSnapshot(
            bytes: TenantSnapshots.encode(assemblers.mapValues { $0.snapshot() }),
            oldestReference: assemblers.values.compactMap { $0.oldestReference?.sequence }.min())
    }

    func confirmed() -> UInt64 { received }

    func flush() {}

    func run() async throws {
        // Nothing is delivered beside `receive`; this only ends with the task.
        for await _ in AsyncStream<Void>.makeStream().stream {}
        try Task.checkCancellation()
    }
}
