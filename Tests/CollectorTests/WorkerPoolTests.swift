import ATOF
import Foundation
import Middleware
import NATSTransport
import Stages
import Synchronization
import Testing

@testable import Collector

@Suite("Worker pool")
struct WorkerPoolTests {
    private static func settings(
        _ name: String = "w", _ surfaces: [WorkerSurface] = [.mark], _ change: (inout WorkerSettings) -> Void = { _ in }
    ) -> WorkerSettings {
        var settings = WorkerSettings(name: name, surfaces: surfaces)
        // A machine that is busy with other tests is slow.
        settings.deadline = .seconds(30)
        change(&settings)
        return settings
    }

    /// Runs a pool around the body.
    private static func pool(
        _ rig: Rig, _ settings: [WorkerSettings], patience: Duration = .seconds(3), metrics: Metrics = Metrics(),
        log: LogLines = LogLines(), _ body: (WorkerPool) async throws -> Void
    ) async throws {
        let pool = WorkerPool(
            rig.jetStream.connection, settings, metrics: metrics, logger: log.logger, patience: patience)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pool.run() }
            defer { group.cancelAll() }
            try await body(pool)
        }
    }

    private static func question(_ number: Int = 1, worker: String = "w", bytes: Int = 4) throws
        -> WorkerExchange.Question
    {
        let line = """
            {"kind":"mark","atof_version":"0.1","uuid":"\(Run.uuid(run: 1, scope: number))","name":"m","timestamp":1,\
            "data":"\(String(repeating: "x", count: bytes))"}
            """
        return .init(
            place: .init(worker: worker, surface: .mark, event: Run.uuid(run: 1, scope: number), kind: .mark),
            tenant: "acme", item: .event(try EventJSONDecoder.decode(Array(line.utf8)).packed()))
    }

    /// Asks one question.
    private static func ask(_ pool: WorkerPool, _ number: Int = 1, worker: String = "w") async throws -> [WorkerAnswer]
    {
        await pool.ask([try question(number, worker: worker)])
    }

    private static let unchanged = WorkerAnswer.success(.unchanged)

    @Test(
        "asks in both forms, and every answer comes back to its question", arguments: [WorkerEncoding.json, .protobuf])
    func forms(_ encoding: WorkerEncoding) async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig, encoding: encoding) { call in .init(results: call.items) }
            let metrics = Metrics()
            try await Self.pool(rig, [Self.settings()], metrics: metrics) { pool in
                let questions = try (0..<50).map { try Self.question($0) }
                let answers = await pool.ask(questions)
                #expect(answers == Array(repeating: Self.unchanged, count: 50))
            }
            #expect(worker.calls.count == 1 && worker.calls.first?.tenant == "acme")
            #expect(metrics.total("skein_worker_calls_total") == 1 && metrics.total("skein_worker_items_total") == 50)
            #expect(metrics.total("skein_worker_failures_total") == 0)
        }
    }

    @Test("a worker that is not there is a failure after the first seconds, and one that comes late is asked")
    func gone() async throws {
        try await Rig.with { rig in
            let metrics = Metrics()
            try await Self.pool(rig, [Self.settings()], patience: .milliseconds(200), metrics: metrics) { pool in
                let answers1 = try await Self.ask(pool)
                #expect(answers1 == [.failure(.gone)])
                #expect(metrics.prometheusText().contains(#"worker="w",surface="mark",reason="gone"} 1"#))
                let worker = try await FakeWorker(rig) { call in .init(results: call.items) }
                try await eventually("the worker is heard of") { metrics.total("skein_worker_instances") == 1 }
                let answers2 = try await Self.ask(pool)
                #expect(answers2 == [Self.unchanged])
                try await worker.leave()
                try await eventually("the worker has left") { metrics.total("skein_worker_instances") == 0 }
                let answers3 = try await Self.ask(pool)
                #expect(answers3 == [.failure(.gone)])
            }
        }
    }

    @Test("the first questions wait for the workers that are configured")
    func early() async throws {
        try await Rig.with { rig in
            try await Self.pool(rig, [Self.settings()], patience: .seconds(30)) { pool in
                async let answers = Self.ask(pool)
                _ = try await FakeWorker(rig) { call in .init(results: call.items) }
                #expect(try await answers == [Self.unchanged])
            }
        }
    }

    @Test(
        "what goes wrong has its reason",
        arguments: [
            (FakeWorker.Behaviour.silent, WorkerFailure.deadline), (.deaf, .noResponders), (.garbage, .wrongReply),
            (.tooFew, .wrongReply), (.wrongKind, .wrongReply), (.fails, .workerError), (.itemFails, .workerError),
        ])
    func failures(_ behaviour: FakeWorker.Behaviour, _ expected: WorkerFailure) async throws {
        try await Rig.with { rig in
            _ = try await FakeWorker(rig, behaviour: behaviour) { call in .init(results: call.items) }
            let (metrics, log) = (Metrics(), LogLines())
            try await Self.pool(
                rig, [Self.settings { $0.deadline = .milliseconds(300) }], metrics: metrics, log: log
            ) { pool in
                let answers4 = try await Self.ask(pool)
                #expect(answers4 == [.failure(expected)])
            }
            #expect(metrics.prometheusText().contains("reason=\"\(expected.rawValue)\"} 1"))
            #expect(!log.all.joined().contains("secret"))
        }
    }

    @Test("a circuit opens after five failures, and then nothing is sent")
    func circuit() async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig, behaviour: .fails) { call in .init(results: call.items) }
            let metrics = Metrics()
            try await Self.pool(rig, [Self.settings()], metrics: metrics) { pool in
                for _ in 0..<5 {
                    let answers = try await Self.ask(pool)
                    #expect(answers == [.failure(.workerError)])
                }
                for _ in 0..<5 {
                    let answers = try await Self.ask(pool)
                    #expect(answers == [.failure(.circuitOpen)])
                }
                try await eventually("the gauge shows it") { metrics.total("skein_worker_circuit_open") == 1 }
            }
            #expect(worker.calls.count == 5)
        }
    }

    @Test("a worker that nobody configured is told of, and never sees an event")
    func unconfigured() async throws {
        try await Rig.with { rig in
            let spy = try await FakeWorker(rig, name: "spy") { call in .init(results: call.items) }
            let worker = try await FakeWorker(rig) { call in .init(results: call.items) }
            let (metrics, log) = (Metrics(), LogLines())
            try await Self.pool(rig, [Self.settings()], metrics: metrics, log: log) { pool in
                try await eventually("it is told of") {
                    metrics.total("skein_worker_unconfigured_announcements_total") > 0
                }
                let answers5 = try await Self.ask(pool)
                #expect(answers5 == [Self.unchanged])
                let answers6 = try await Self.ask(pool, worker: "spy")
                #expect(answers6 == [.failure(.gone)])
            }
            #expect(spy.calls.isEmpty && worker.calls.count == 1)
            #expect(log.all.joined().contains("a worker that the configuration does not name is sent nothing"))
        }
    }

    @Test("instances share the calls")
    func sharing() async throws {
        try await Rig.with { rig in
            let one = try await FakeWorker(rig, instance: "one") { call in .init(results: call.items) }
            let two = try await FakeWorker(rig, instance: "two") { call in .init(results: call.items) }
            try await Self.pool(rig, [Self.settings()]) { pool in
                for _ in 0..<60 {
                    let answers = try await Self.ask(pool)
                    #expect(answers == [Self.unchanged])
                }
            }
            #expect(one.calls.count + two.calls.count == 60 && one.calls.count > 5 && two.calls.count > 5)
        }
    }

    @Test(
        "a call that is larger than a message is halved until it fits, and an event that is too large alone is not sent"
    )
    func large() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let worker = try await FakeWorker(rig) { call in .init(results: call.items) }
            try await Self.pool(rig, [Self.settings()]) { pool in
                var questions = try (0..<500).map { try Self.question($0) }
                questions.append(try Self.question(501, bytes: 60 << 10))
                let answers = await pool.ask(questions)
                #expect(answers == Array(repeating: Self.unchanged, count: 500) + [.failure(.tooLarge)])
            }
            #expect(worker.calls.count >= 2 && worker.calls.map(\.items).reduce(0, +) == 500)
        }
    }

    @Test("no more calls are under way than may be")
    func bounded() async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig, behaviour: .slow) { call in .init(results: call.items) }
            try await Self.pool(rig, [Self.settings { $0.maximumInFlight = 2 }]) { pool in
                try await withThrowingTaskGroup(of: [WorkerAnswer].self) { group in
                    for number in 0..<10 { group.addTask { try await Self.ask(pool, number) } }
                    for try await answers in group { #expect(answers == [Self.unchanged]) }
                }
            }
            #expect(worker.mostAtOnce <= 2 && worker.calls.count == 10)
        }
    }

    @Test("who has less time than a worker waits no longer for its place, nor for it to be heard of")
    func askersTime() async throws {
        try await Rig.with { rig in
            let begin = ContinuousClock.now
            // Nobody is heard of, and nothing but the asker's deadline ends the wait.
            try await Self.pool(rig, [Self.settings()], patience: .seconds(60)) { pool in
                let answers = await pool.call(
                    "w", .mark, tenant: "acme", [try Self.question().item], until: .now + .milliseconds(100))
                #expect(answers.count == 1 && answers != [Self.unchanged])
                #expect(ContinuousClock.now - begin < .seconds(50))
            }
            let worker = try await FakeWorker(rig, behaviour: .silent) { call in .init(results: call.items) }
            try await Self.pool(rig, [Self.settings { ($0.maximumInFlight, $0.deadline) = (1, .seconds(40)) }]) {
                pool in
                let item = try Self.question().item
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { _ = await pool.call("w", .mark, tenant: "acme", [item]) }
                    defer { group.cancelAll() }
                    try await eventually("the place is taken") { worker.calls.count == 1 }
                    let begin = ContinuousClock.now
                    let answers = await pool.call(
                        "w", .mark, tenant: "acme", [item], until: .now + .milliseconds(100))
                    #expect(answers == [.failure(.deadline)])
                    #expect(ContinuousClock.now - begin < .seconds(30))
                }
                #expect(worker.calls.count == 1)
            }
        }
    }
}
