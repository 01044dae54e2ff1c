internal import ATOF
internal import Foundation
internal import Logging
internal import Middleware
internal import NATSTransport
internal import Stages

/// Measures how long agents wait for an answer before they act, beside a request that nobody thinks about.
///
/// All three are asked at the same rate over the same connection, in short rounds by turns, so that what else the machine does meets them
/// alike; a request begins when its time has come, whether those before it are answered or not.
struct GuardBenchmark {
    private static let perSecond = 1000
    private static let rounds = 8
    private static let perRound = 500
    private static let tenant = "bench"
    private static let bareSubject = "skein.bench.bare"

    let connection: NATSConnection
    let url: String
    let state: KeyValueBucket
    let logger: Logger
    let progress: @Sendable (String) -> Void

    func run() async throws -> [BenchmarkReport.Guarding] {
        // Who answers has a connection of its own, as in another process.
        let answering = try await NATSConnection.connect(NATSOptions(urls: [url], name: "skein-bench-guard"))
        do {
            let figures = try await measure(answering)
            await answering.close()
            return figures
        } catch {
            await answering.close()
            throw error
        }
    }

    private func measure(_ answering: NATSConnection) async throws -> [BenchmarkReport.Guarding] {
        progress("answers before an agent acts, at \(GuardBenchmark.perSecond) a second")
        let requests = try await answering.subscribe(subject: GuardBenchmark.bareSubject)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await request in requests {
                    if let reply = request.reply {
                        try await answering.publish(subject: reply, payload: request.payload)
                    }
                }
            }
            defer {
                requests.cancel()
                group.cancelAll()
            }
            var bare: [Duration] = []
            var ruled: [Duration] = []
            var counted: [Duration] = []
            for round in 0..<GuardBenchmark.rounds {
                let first = round * GuardBenchmark.perRound
                bare += try await measureBare()
                ruled += try await measure(answering, GuardBenchmark.rules, from: first)
                counted += try await measure(answering, GuardBenchmark.rules + [GuardBenchmark.budget], from: first)
            }
            bare.sort()
            return [
                figure("bare request and reply", bare, bare),
                figure("guard, \(GuardBenchmark.rules.count) rules", ruled.sorted(), bare),
                figure("guard, with a budget that is written", counted.sorted(), bare),
            ]
        }
    }

    private func figure(_ name: String, _ times: [Duration], _ bare: [Duration]) -> BenchmarkReport.Guarding {
        func micros(_ times: [Duration], _ share: Double) -> Double {
            times[min(times.count - 1, Int(Double(times.count) * share))] / .microseconds(1)
        }
        return .init(
            name: name, requests: times.count, medianMicroseconds: micros(times, 0.5),
            p99Microseconds: micros(times, 0.99), medianRatio: micros(times, 0.5) / micros(bare, 0.5),
            p99Ratio: micros(times, 0.99) / micros(bare, 0.99))
    }

    private func measureBare() async throws -> [Duration] {
        let connection = connection
        let payload = GuardBenchmark.question(0).json
        try await answered {
            _ = try await connection.request(
                subject: GuardBenchmark.bareSubject, payload: payload, timeout: .seconds(5))
        }
        return try await paced { _ in
            _ = try await connection.request(
                subject: GuardBenchmark.bareSubject, payload: payload, timeout: .seconds(5))
        }
    }

    /// - Parameter first: the number of the first question: each is another call.
    private func measure(
        _ answering: NATSConnection, _ rules: [GuardrailRule], from first: Int
    ) async throws -> [Duration] {
        let environment = StageEnvironment(
            jetStream: JetStream(answering), state: state.over(JetStream(answering)),
            prefetch: PrefetchBudget(total: 1),
            owner: UUID().uuidString, lease: .alone("bench"), metrics: Metrics(), logger: logger)
        let service = GuardService(
            environment, GuardPolicy(GuardrailRules(rules: rules)), redactions: CurrentPolicy(),
            limit: GuardBenchmark.perSecond, partitions: 1)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            defer { group.cancelAll() }
            let client = GuardClient(connection)
            try await answered {
                _ = try await client.ask(GuardBenchmark.question(-1), tenant: GuardBenchmark.tenant)
            }
            let times = try await paced { number in
                let reply = try await client.ask(
                    GuardBenchmark.question(first + number), tenant: GuardBenchmark.tenant, timeout: .seconds(5))
                guard case .allow = reply.decision else {
                    throw CollectorError("a question of the benchmark was answered with \(reply.decision)")
                }
            }
            await service.drain()
            return times
        }
    }

    /// Waits for somebody to listen.
    private func answered(_ ask: () async throws -> Void) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do {
                return try await ask()
            } catch let error as NATSError where error.code == .noResponders && ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// - Returns: how long each took.
    private func paced(_ body: @escaping @Sendable (Int) async throws -> Void) async throws -> [Duration] {
        try await withThrowingTaskGroup(of: Duration.self) { group in
            let start = ContinuousClock.now
            for number in 0..<GuardBenchmark.perRound {
                let due = start + .seconds(1) / GuardBenchmark.perSecond * number
                if ContinuousClock.now < due { try await Task.sleep(until: due, tolerance: .zero) }
                group.addTask {
                    let begin = ContinuousClock.now
                    try await body(number)
                    return ContinuousClock.now - begin
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    private static func question(_ number: Int) -> GuardQuestion {
        var question = GuardQuestion(
            name: "search", call: .tool(arguments: ["query": "the weather of tomorrow", "limit": 10, "deep": true]))
        question.agent = "agent-\(number % 7)"
        question.trajectory = EventUUID(high: 1, low: UInt64(number + 1) % 50)
        question.callID = "call-\(number)"
        return question
    }

    /// None of them fires.
    private static let rules: [GuardrailRule] = (0..<8).map { number in
        let condition: GuardrailRule.Condition =
            number % 2 == 0
            ? .tools(.init(deny: [NameGlob("delete_*"), NameGlob("*_admin_\(number)")]))
            : .arguments([.init(pointer: "/limit", test: .range(minimum: 1000, maximum: nil))])
        return GuardrailRule(
            name: "rule-\(number)", condition: condition, actions: [.reject], reason: "rule \(number) says no")
    }

    private static let budget = GuardrailRule(
        name: "calls", condition: .budget(.init(measure: .toolCalls, limit: 1 << 40, owner: .tenant)),
        actions: [.reject], reason: "too many calls")
}
