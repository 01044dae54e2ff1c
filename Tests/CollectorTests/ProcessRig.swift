import ATOF
import Logging
import NATSTransport
import Stages

@testable import Collector

/// Workers of `process` on a real broker, without a task around them: the test hands them messages.
struct ProcessRig {
    let rig: Rig
    let metrics = Metrics()
    let log = LogLines()

    /// Creates the streams, which differ from the default where the test says so.
    init(_ rig: Rig, streams: CollectorConfiguration.Streams = CollectorConfiguration().streams) async throws {
        self.rig = rig
        _ = try await StreamProvisioner(rig.jetStream, streams).prepare()
    }

    func context(epoch: UInt64 = 1, fences: Bool = false, stage: String = "process") -> StageContext {
        StageContext(
            key: TaskKey(stage: stage, partition: 3), epoch: epoch, fences: fences, lease: .alone("test"),
            jetStream: rig.jetStream, metrics: metrics, logger: log.logger,
            deadLetters: DeadLetterWriter(rig.jetStream, metrics, LogLines().logger))
    }

    func worker(epoch: UInt64 = 1, fences: Bool = false) async throws -> any StageWorker {
        try await ProcessStage(partitioning: Partitioning(count: 2)).makeWorker(
            context(epoch: epoch, fences: fences), snapshot: nil, position: 0)
    }

    /// Runs a worker's delivery around the body.
    func delivering<Result>(_ worker: any StageWorker, _ body: () async throws -> Result) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await worker.run() }
            defer { group.cancelAll() }
            return try await body()
        }
    }

    static func message(_ sequence: UInt64, _ lines: [String], tenant: String = "acme") throws -> StageMessage {
        StageMessage(
            subject: "skein.v1.events.3.\(tenant).key", sequence: sequence, timeNanoseconds: sequence, contentType: nil,
            payload: try packed(lines))
    }

    /// A mark of a run, with a payload of so many bytes.
    static func line(_ number: Int, bytes: Int = 10) -> String {
        AtofLine(
            uuid: Run.uuid(run: 1, scope: number).description, parent: Run.uuid(run: 1, scope: 0).description,
            data: "\"\(String(repeating: "x", count: bytes))\""
        ).text
    }

    /// What readers of PROCESSED get: whole messages.
    func processed() async throws -> (messages: [StageMessage], letters: [DeadLetter], voided: Int) {
        var chunks = ChunkAssembler(stage: "assemble", stream: SkeinSubjects.processedStream)
        var found: ([StageMessage], [DeadLetter], Int) = ([], [], 0)
        for message in try await rig.contents(of: SkeinSubjects.processedStream) {
            let outcome = chunks.receive(
                StageMessage(
                    subject: message.subject, sequence: message.sequence,
                    timeNanoseconds: UInt64(message.timestampNanos), contentType: nil, payload: message.payload),
                chunk: message.headers[SkeinHeaders.chunk], id: message.headers[SkeinHeaders.chunkID])
            if let message = outcome.message { found.0.append(message) }
            found.1 += outcome.deadLetters
            found.2 += outcome.voided
        }
        return found
    }

    static func scopes(of messages: [StageMessage]) throws -> [EventUUID] {
        try messages.flatMap { message in
            let batch = try EventBatch(unpacking: message.payload)
            return try (0..<batch.count).map { try batch.event(at: $0).uuid }
        }
    }
}
