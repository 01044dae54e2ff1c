internal import ATOF
internal import Foundation
internal import Logging
internal import Middleware
internal import NATSTransport
internal import Stages

/// Measures how long agents wait for an answer before they act, beside a request that nobody thinks about.
///
/// All three are asked at the same rate over the same connection, one after the other; a request begins when its time has come, whether
/// those before it are answered or not.
struct GuardBenchmark {
    private static let perSecond = 1000
    private static let seconds = 4
    private static let tenant = "bench"

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
        progress("a bare request at \(GuardBenchmark.perSecond) a second")
        let bare = try await measureBare(answering)
        var figures = [figure("bare request and reply", bare, bare)]
        for (name, rules) in [
            ("guard, \(GuardBenchmark.rules.count) rules", GuardBenchmark.rules),
            ("guard, with a budget that is written", GuardBenchmark.rules + [GuardBenchmark.budget]),
        ] {
            progress("\(name) at \(GuardBenchmark.perSecond) a second")
            figures.append(figure(name, try await measure(answering, rules), bare))
        }
        return figures
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

    private func measureBare(_ answering: NATSConnection) async throws -> [Duration] {
        let subject = "skein.bench.bare"
        let requests = try await answering.subscribe(subject: subject)
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
            let connection = connection
            let payload = GuardBenchmark.question(0).json
            return try await paced { _ in
                _ = try await connection.request(subject: subject, payload: payload, timeout: .seconds(5))
            }
        }
    }

    private func measure(_ answering: NATSConnection, _ rules: [GuardrailRule]) async throws -> [Duration] {
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
            try await answered(client)
            let times = try await paced { number in
                let reply = try await client.ask(
                    GuardBenchmark.question(number), tenant: GuardBenchmark.tenant, timeout: .seconds(5))
                guard case .allow = reply.decision else {
                    throw CollectorError("a question of the benchmark was answered with \(reply.decision)")
                }
            }
            await service.drain()
            return times
        }
    }

    /// Waits for the service to listen.
    private func answered(_ client: GuardClient) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do {
                _ = try await client.ask(GuardBenchmark.question(-1), tenant: GuardBenchmark.tenant)
                return
            } catch let error as NATSError where error.code == .noResponders && ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// - Returns: how long each took, sorted.
    private func paced(_ body: @escaping @Sendable (Int) async throws -> Void) async throws -> [Duration] {
        try await withThrowingTaskGroup(of: Duration.self) { group in
            let start = ContinuousClock.now
            for number in 0..<GuardBenchmark.perSecond * GuardBenchmark.seconds {
                let due = start + .seconds(1) / GuardBenchmark.perSecond * number
                if ContinuousClock.now < due { try await Task.sleep(until: due, tolerance: .zero) }
                group.addTask {
                    let begin = ContinuousClock.now
                    try await body(number)
                    return ContinuousClock.now - begin
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted()
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
