internal import ATOF
internal import Adaptive
internal import Logging
internal import NATSTransport
internal import Stages
internal import Synchronization

/// Answers agents before model calls, on `skein.v1.hint.<tenant>`, with what has been learned about calls like theirs.
///
/// Whoever asks waits for milliseconds: an answer comes out of memory. The first question about an agent reads its model; what is asked
/// meanwhile has no answer but what was set by hand. A model is read again when it is older than a second, beside the answers.
final class HintService: Sendable {
    static let queue = "skein-hints"
    /// Questions under way at the most.
    private static let limit = 256
    /// Models that are held, and their bytes as they are stored; beyond it the one that was read longest ago goes.
    private static let modelLimit = 1024
    private static let byteLimit = 64 << 20
    private static let freshness = Duration.seconds(1)
    private static let drainLimit = Duration.seconds(1)

    private struct Entry: Sendable {
        /// Nil while nothing is known about the agent.
        var learned: LearnedModel?
        var readAt: ContinuousClock.Instant
        var isReading = true
    }

    private struct State: Sendable {
        var entries: [LearnedAgent: Entry] = [:]
        var bytes = 0
    }

    private let environment: StageEnvironment
    private let bucket: KeyValueBucket
    private let service = Mutex<NATSService?>(nil)
    private let state = Mutex(State())
    /// Agents whose models are to be read again: bounded by the models that are held, each of which is asked for once at a time.
    private let refreshes = AsyncStream.makeStream(of: LearnedAgent.self)

    init(_ environment: StageEnvironment) {
        self.environment = environment
        bucket = environment.state.over(JetStream(environment.jetStream.connection, timeout: .seconds(1)))
    }

    /// Answers until it was drained or the task is cancelled.
    func run() async throws {
        let service = NATSService(
            environment.jetStream.connection,
            ServiceDescription(
                name: "skein-hints", id: environment.owner, version: SkeinVersion.current,
                text: "Answers agents before model calls: what has been learned about calls like theirs",
                endpoints: [
                    .init(name: "hints", subject: SkeinSubjects.hints(tenant: "*"), queue: HintService.queue)
                ]),
            limit: HintService.limit,
            refusal: { _, failure in
                self.count("error")
                return HintService.answer(.object(JSONObject()), failure)
            }, handler: { await self.answer($0) })
        self.service.withLock { $0 = service }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for await agent in self.refreshes.stream { group.addTask { await self.read(agent) } }
                }
            }
            group.addTask { try await service.run() }
            try await group.next()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Takes no further questions, answers those under way, and ends `run`.
    func drain() async { await service.withLock { $0 }?.drain(within: HintService.drainLimit) }

    // MARK: Questions

    private func answer(_ request: ServiceRequest) async -> ServiceAnswer {
        defer {
            environment.metrics.observe("skein_hint_request_seconds", request.arrived.duration(to: .now))
        }
        do throws(GuardFailure) {
            let hints = try await self.hints(for: request)
            count(hints == nil ? "none" : "hints")
            return HintService.answer(hints?.json ?? .object(JSONObject()))
        } catch {
            count("error")
            let failure = ServiceFailure(code: error.code.number, description: error.message)
            return HintService.answer(.object(JSONObject()), failure)
        }
    }

    private static func answer(_ value: JSONValue, _ failure: ServiceFailure? = nil) -> ServiceAnswer {
        ServiceAnswer(
            headers: [SkeinHeaders.contentType: SkeinHeaders.json], payload: Array(value.compactText.utf8),
            failure: failure)
    }

    private func hints(for request: ServiceRequest) async throws(GuardFailure) -> AgentHints? {
        let message = request.message
        let tenant = SkeinSubjects.tenant(ofHint: message.subject) ?? ""
        guard SkeinSubjects.isTenant(tenant) else {
            throw GuardFailure(
                .badRequest, "the tenant of the subject must be made of a-z, 0-9, _ and -, and not be _ alone")
        }
        let deadline = try GuardDeadline.read(message.headers, arrived: request.arrived)
        if ContinuousClock.now >= deadline { throw .late("when the request arrived") }
        let question: HintQuestion
        do throws(GuardMessageError) {
            question = try HintQuestion(json: message.payload)
        } catch {
            throw GuardFailure(.badRequest, "\(error)")
        }
        let model = await self.model(of: LearnedAgent(tenant: tenant, agent: question.agent))
        return AgentHints.combined(
            model?.hints(for: question), manual: question.manualSensitivity, prefixID: question.prefixID)
    }

    private func count(_ outcome: String) {
        environment.metrics.add("skein_hint_requests_total", 1, ["outcome": outcome])
    }

    // MARK: Models

    private func model(of agent: LearnedAgent) async -> PredictionModel? {
        let now = ContinuousClock.now
        let (known, isFirst, isDue) = state.withLock { state -> (LearnedModel?, Bool, Bool) in
            guard let entry = state.entries[agent] else {
                HintService.makeRoom(in: &state)
                state.entries[agent] = Entry(readAt: now)
                return (nil, true, false)
            }
            let isDue = !entry.isReading && now - entry.readAt >= HintService.freshness
            if isDue { state.entries[agent]?.isReading = true }
            return (entry.learned, false, isDue)
        }
        if isFirst {
            await read(agent)
            return state.withLock { $0.entries[agent]?.learned?.model }
        }
        if isDue { refreshes.continuation.yield(agent) }
        return known?.model
    }

    private func read(_ agent: LearnedAgent) async {
        let read: Result<LearnedModel?, any Error>
        do {
            read = .success(try await bucket.learned(agent))
        } catch {
            read = .failure(error)
            environment.metrics.add("skein_hint_model_failures_total")
            environment.logger.debug("a model was not read", metadata: ["key": "\(agent.key)", "error": "\(error)"])
        }
        state.withLock { state in
            guard var entry = state.entries[agent] else { return }
            entry.isReading = false
            entry.readAt = .now
            // What was known goes on counting while the bucket cannot be read.
            if case .success(let learned) = read {
                state.bytes += (learned?.size ?? 0) - (entry.learned?.size ?? 0)
                entry.learned = learned
            }
            state.entries[agent] = entry
            HintService.makeRoom(in: &state, besides: agent)
        }
    }

    private static func makeRoom(in state: inout State, besides agent: LearnedAgent? = nil) {
        while state.entries.count >= modelLimit || state.bytes > byteLimit {
            let oldest = state.entries.filter { $0.key != agent }.min { $0.value.readAt < $1.value.readAt }
            guard let oldest else { return }
            state.bytes -= oldest.value.learned?.size ?? 0
            state.entries[oldest.key] = nil
        }
    }
}
