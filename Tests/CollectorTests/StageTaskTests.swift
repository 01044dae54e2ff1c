import Collector
import Foundation
import Logging
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("Stage task", .timeLimit(.minutes(1)))
struct StageTaskTests {
    @Test("takes a snapshot between two messages: none comes in while it is taken")
    func snapshotBetweenMessages() async throws {
        try await Self.running { rig, task, stage, records in
            stage.onSnapshot {
                // The reader has all the time to hand the next message to the worker meanwhile.
                try await Self.publish(1, rig)
                for _ in 0..<50 { _ = try await rig.jetStream.streamInfo(SkeinSubjects.eventsStream) }
            }
            try await Self.publish(1, rig)
            try await eventually("some checkpoints") { try await records().position >= 5 }
            #expect(stage.state.withLock { $0.receivedInSnapshot } == 0)
        }
    }

    @Test("stops although its worker waits for a sink that takes nothing")
    func stopWhileBlocked() async throws {
        try await Self.running { rig, task, stage, _ in
            stage.state.withLock { $0.blocks = true }
            try await Self.publish(3, rig)
            try await eventually("the worker waits") { stage.state.withLock { $0.received == 1 } }
            await task.stop()
            try await eventually("the task has ended", seconds: 20) { await task.phase == .ended }
        }
    }

    @Test("writes its last checkpoint although another one is under way when it is stopped")
    func stopDuringCheckpoint() async throws {
        try await Self.running { rig, task, stage, records in
            stage.state.withLock { $0.confirmsAfterFlush = true }
            try await Self.publish(1, rig)
            try await eventually("a checkpoint waits") { stage.state.withLock { $0.waiters > 0 && $0.received == 1 } }
            await task.stop()
            try await eventually("the task has ended") { await task.phase == .ended }
            #expect(try await records().position == 1)
        }
    }

    @Test("begins again at its checkpoint when its worker fails, and says that it is not running meanwhile")
    func failingWorker() async throws {
        try await Self.running { rig, task, stage, records in
            try await Self.publish(2, rig)
            try await eventually("a checkpoint") { try await records().position == 2 }
            stage.state.withLock { $0.failsNext = true }
            try await Self.publish(1, rig)
            try await eventually("the failed message comes again") { try await records().position == 3 }
            #expect(stage.state.withLock { $0.starts } == [0, 2])
        }
    }

    @Test("takes no snapshot of a worker that fails in the middle of a message while the task is stopped")
    func failingWhileStopped() async throws {
        try await Self.running(checkpointInterval: .seconds(3600)) { rig, task, stage, records in
            try await Self.publish(1, rig)
            try await eventually("the first message is received") { stage.state.withLock { $0.received == 1 } }
            stage.state.withLock { $0.failsAfterFlush = true }
            try await Self.publish(1, rig)
            try await eventually("the second is under way") { stage.state.withLock { $0.received == 2 } }
            await task.stop()
            try await eventually("the task has ended", seconds: 20) { await task.phase == .ended }
            #expect(try await records().position == 0)
            #expect(stage.state.withLock { $0.snapshotsAfterFailure } == 0)
        }
    }

    @Test("does not take the task back from another owner when its worker fails")
    func failingAfterTakeover() async throws {
        try await Self.running { rig, task, stage, records in
            try await Self.publish(1, rig)
            try await eventually("a checkpoint") { try await records().position == 1 }
            let bucket = try await KeyValueBucket.open(rig.jetStream, name: SkeinSubjects.stateBucket)
            _ = try await TaskStore(
                takingOver: TaskKey(stage: stage.name, partition: 0), in: bucket, of: rig.jetStream, owner: "other",
                stream: stage.stream
            ) { _ in true }
            stage.state.withLock { $0.failsNext = true }
            try await Self.publish(1, rig)
            try await eventually("the task has ended") { await task.phase == .ended }
            #expect(try await records().owner == "other")
        }
    }

    @Test("gives the task to others also when it is stopped while it cannot go on")
    func stopWhileFailed() async throws {
        try await Self.running { rig, task, stage, records in
            stage.state.withLock { ($0.failsNext, $0.start) = (true, .fails) }
            try await Self.publish(1, rig)
            try await eventually("the task cannot go on") { await task.phase == .failed("as the test wants it") }
            #expect(try await records().owner == "test")
            await task.stop()
            try await eventually("the task has ended") { await task.phase == .ended }
            #expect(try await records().owner == "")
        }
    }

    @Test("stops while it waits before it runs, and gives the task to others")
    func stopWhileStarting() async throws {
        try await Self.running { rig, task, stage, records in
            stage.state.withLock { ($0.failsNext, $0.start) = (true, .waits) }
            try await Self.publish(1, rig)
            try await eventually("the task waits") { stage.state.withLock { $0.starts.count == 2 } }
            await task.stop()
            try await eventually("the task has ended") { await task.phase == .ended }
            #expect(try await records().owner == "")
        }
    }

    @Test("ends at once when it is abandoned, although the broker does not answer")
    func abandonedInSilence() async throws {
        // Whatever asks the broker waits for longer than this test may take.
        try await Self.running(timeout: .seconds(600)) { rig, task, stage, records in
            try await Self.publish(1, rig)
            try await eventually("a checkpoint") { try await records().position == 1 }
            let server = try #require(rig.server.pid)
            kill(server, SIGSTOP)
            defer { kill(server, SIGCONT) }
            await task.abandon()
            try await eventually("the task has ended") { await task.phase == .ended }
            kill(server, SIGCONT)
            #expect(try await records().owner == "test")
        }
    }

    @Test("releases what a checkpoint wrote whose answer came too late")
    func lateCheckpoint() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let bucket = try await KeyValueBucket.open(rig.jetStream, name: SkeinSubjects.stateBucket)
            let key = TaskKey(stage: "busy", partition: 0)
            let owner = try await Self.takeOver(bucket, rig)
            let entry = try #require(try await bucket.get(key.description))
            var late = try TaskStore.decode(entry.value, key)
            (late.position, late.keepFrom, late.nonce) = (7, 8, "late")
            try await bucket.put(key.description, [UInt8](try JSONEncoder().encode(late)))
            try await owner.release()
            let released = try TaskStore.decode(try #require(try await bucket.get(key.description)).value, key)
            #expect(released.owner == "")
            #expect(released.position == 7)
            #expect(released.keepFrom == 8)
        }
    }

    @Test("is taken over while its owner goes on")
    func takeoverOfBusyOwner() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let bucket = try await KeyValueBucket.open(rig.jetStream, name: SkeinSubjects.stateBucket)
            var owner = try await Self.takeOver(bucket, rig)
            for _ in 0..<20 {
                let busy = owner
                async let fenced: Void = Self.goOn(busy, rig)
                owner = try await Self.takeOver(bucket, rig)
                try await fenced
            }
        }
    }

    private static func takeOver(_ bucket: KeyValueBucket, _ rig: Rig) async throws -> TaskStore {
        while true {
            do {
                return try await TaskStore(
                    takingOver: TaskKey(stage: "busy", partition: 0), in: bucket, of: rig.jetStream, owner: "test",
                    stream: SkeinSubjects.eventsStream
                ) { _ in true }
            } catch is FencedError {}
        }
    }

    /// Publishes and writes a checkpoint for it, until somebody else has the task.
    private static func goOn(_ owner: TaskStore, _ rig: Rig) async throws {
        do {
            while true {
                let position = try await rig.jetStream.publish(subject: "skein.v1.events.t.k", payload: [1]).sequence
                try await owner.checkpoint(position: position, keepFrom: position + 1, snapshot: [])
            }
        } catch is FencedError {}
    }

    // MARK: A task with a scripted stage

    private static func publish(_ count: Int, _ rig: Rig) async throws {
        for _ in 0..<count { _ = try await rig.jetStream.publish(subject: "skein.v1.events.t.k", payload: [1]) }
    }

    private static func running(
        timeout: Duration = .seconds(5),
        checkpointInterval: Duration = .milliseconds(10),
        _ body: (Rig, StageTask, ScriptedStage, () async throws -> TaskRecord) async throws -> Void
    ) async throws {
        try await Rig.with { rig in
            var streams = CollectorConfiguration().streams
            streams.partitions = 1
            let prepared = try await StreamProvisioner(rig.jetStream, streams).prepare()
            let jetStream = JetStream(rig.jetStream.connection, timeout: timeout)
            var environment = StageEnvironment(
                jetStream: jetStream, state: prepared.state.over(jetStream), prefetch: PrefetchBudget(total: 1 << 20),
                owner: "test", lease: .alone("test", beside: ["other"]), metrics: Metrics(),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            environment.checkpointInterval = checkpointInterval
            environment.stopTimeout = .milliseconds(300)
            let stage = ScriptedStage()
            let task = StageTask(stage: stage, partition: 0, environment: environment)
            let key = TaskKey(stage: stage.name, partition: 0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = await task.run() }
                defer { group.cancelAll() }
                try await eventually("the task runs") { await task.phase == .running }
                try await body(rig, task, stage) {
                    guard let entry = try await prepared.state.get(key.description) else { throw Failure("no record") }
                    return try TaskStore.decode(entry.value, key)
                }
            }
        }
    }
}

/// A stage whose workers do what the test says.
private final class ScriptedStage: Stage {
    struct State {
        var received = 0
        var starts: [UInt64] = []
        var isInSnapshot = false
        var receivedInSnapshot = 0
        var blocks = false
        var failsNext = false
        var start = Start.works
        var failsAfterFlush = false
        var hasFailed = false
        var snapshotsAfterFailure = 0
        var confirmsAfterFlush = false
        var waiters = 0
        var snapshotHook: (@Sendable () async throws -> Void)?
    }

    enum Start {
        case works, fails, waits
    }

    let state = Mutex(State())
    let name = "scripted"
    let stream = SkeinSubjects.eventsStream

    func filter(partition: Int) -> String { SkeinSubjects.eventsFilter(partition: partition) }

    func onSnapshot(_ hook: @escaping @Sendable () async throws -> Void) { state.withLock { $0.snapshotHook = hook } }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let start = state.withLock { state in
            state.starts.append(position)
            return state.start
        }
        switch start {
        case .works: break
        case .fails: throw CollectorError("as the test wants it")
        case .waits: try await Worker(stage: self, position: position).run()
        }
        return Worker(stage: self, position: position)
    }

    private actor Worker: StageWorker {
        let stage: ScriptedStage
        var position: UInt64
        private let flushed = AsyncStream.makeStream(of: Void.self)

        init(stage: ScriptedStage, position: UInt64) {
            self.stage = stage
            self.position = position
        }

        func receive(_ message: StageMessage) async throws {
            let (blocks, fails, failsAfterFlush) = stage.state.withLock { state in
                state.received += 1
                if state.isInSnapshot { state.receivedInSnapshot += 1 }
                defer { state.failsNext = false }
                return (state.blocks, state.failsNext, state.failsAfterFlush)
            }
            if failsAfterFlush {
                for await _ in flushed.stream {}
                stage.state.withLock { $0.hasFailed = true }
                throw Failure("as the test wants it")
            }
            if fails { throw Failure("as the test wants it") }
            if blocks { try await forever() }
            position = message.sequence
        }

        func snapshot() async -> StageSnapshot {
            let hook = stage.state.withLock { state in
                state.isInSnapshot = true
                if state.hasFailed { state.snapshotsAfterFailure += 1 }
                return state.snapshotHook
            }
            try? await hook?()
            stage.state.withLock { $0.isInSnapshot = false }
            return StageSnapshot(bytes: [1])
        }

        func confirmed() async -> UInt64 {
            let waits = stage.state.withLock { state in
                let waits = state.confirmsAfterFlush
                if waits { state.waiters += 1 }
                return waits
            }
            if waits { for await _ in flushed.stream {} }
            return position
        }

        func flush() { flushed.continuation.finish() }

        func run() async throws { try await forever() }

        private func forever() async throws {
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
            for await _ in stream {}
            continuation.finish()
            try Task.checkCancellation()
        }
    }
}
