internal import ATOF
internal import Foundation
internal import Logging
internal import NATSTransport
internal import Stages
internal import Synchronization

/// Answers agents before they act, on `skein.v1.guard.<tenant>.tool` and `.llm`, together with all other members.
final class GuardService: Sendable {
    /// All members share the questions.
    static let queue = "skein-guard"
    private static let kinds: [GuardQuestion.Kind] = [.tool, .llm]

    private let environment: StageEnvironment
    private let limit: Int
    private let partitioning: Partitioning
    private let alerts: GuardAlerts
    /// How long answers that are under way may take when the collector ends.
    private static let drainLimit = Duration.seconds(2)
    /// Of calls that members count for each other.
    private static let countingLimit = 4096
    private let state: Mutex<State>
    private let changes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    private struct State: Sendable {
        var policy: GuardPolicy
        var running: NATSService?
    }

    /// - Parameters:
    ///   - policy: while it is off nobody is answered.
    ///   - redactions: what is told of questions is as they leave it.
    ///   - limit: questions under way at the most.
    ///   - partitions: spread the tenants over the members.
    init(
        _ environment: StageEnvironment, _ policy: GuardPolicy, redactions: CurrentPolicy, limit: Int, partitions: Int
    ) {
        self.environment = environment
        self.limit = limit
        partitioning = Partitioning(count: partitions)
        alerts = GuardAlerts(environment, redactions)
        state = Mutex(State(policy: policy))
        changes.continuation.yield()
    }

    /// From now on questions are answered by this policy; those under way by the one before.
    func replace(_ policy: GuardPolicy) async {
        let running = state.withLock { state in
            state.policy = policy
            return state.running
        }
        if !policy.isOn { await running?.drain(within: GuardService.drainLimit) }
        changes.continuation.yield()
    }

    /// Answers until it was drained or the task is cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.alerts.run() }
            group.addTask {
                for await _ in self.changes.stream where self.state.withLock({ $0.policy.isOn }) {
                    try await self.serve()
                }
                self.alerts.finish()
            }
            try await group.waitForAll()
        }
        try Task.checkCancellation()
    }

    /// Takes no further questions, answers those under way, and ends `run`.
    func drain() async {
        changes.continuation.finish()
        await state.withLock { $0.running }?.drain(within: GuardService.drainLimit)
    }

    /// Answers until the service is drained.
    private func serve() async throws {
        let (connection, member) = (environment.jetStream.connection, environment.owner)
        // A late answer is as good as none.
        var limits = BudgetCounters.Limits()
        limits.bytes = min(limits.bytes, connection.maxPayload / 8 * 3)
        let desk = BudgetDesk(
            environment.state.over(JetStream(connection, timeout: .seconds(1))), metrics: environment.metrics,
            limits: limits)
        let router = BudgetRouter(
            connection, member: member, lease: environment.lease, partitioning: partitioning, desk: desk,
            metrics: environment.metrics)
        let service = NATSService(
            connection,
            ServiceDescription(
                name: "skein-guard", id: member, version: SkeinVersion.current,
                text: "Answers agents before they act: allow, reject, or another request",
                endpoints: GuardService.kinds.map {
                    .init(name: $0.rawValue, subject: SkeinSubjects.guardFilter($0), queue: GuardService.queue)
                }),
            limit: limit, refusal: { self.turnedAway($0, $1) }, handler: { await self.answer($0, router) })
        let counting = NATSService(
            connection,
            ServiceDescription(
                name: "skein-budgets", id: member, version: SkeinVersion.current,
                text: "Counts calls against budgets for the other members",
                endpoints: [.init(name: "count", subject: SkeinSubjects.budgets(member: member), queue: member)]),
            limit: GuardService.countingLimit, handler: { await router.answer($0) })
        state.withLock { $0.running = service }
        defer { state.withLock { $0.running = nil } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await desk.run() }
            group.addTask { try await counting.run() }
            group.addTask { try await self.show(service) }
            group.addTask { try await service.run() }
            try await group.next()
            group.cancelAll()
        }
    }

    private func show(_ service: NATSService) async throws {
        while true {
            environment.metrics.set("skein_guard_in_flight", Double(service.inFlight))
            try await Task.sleep(for: .seconds(1))
        }
    }

    // MARK: Questions

    private func turnedAway(_ request: ServiceRequest, _ failure: ServiceFailure) -> ServiceAnswer {
        let encoding = (try? GuardEncoding(request.message.headers)) ?? .json
        count(GuardReply(.error(GuardFailure(.busy, ""))), kind: GuardService.kinds[request.endpoint])
        return serviceAnswer(GuardReply(.error(GuardFailure(.busy, failure.description))), encoding)
    }

    private func answer(_ request: ServiceRequest, _ router: BudgetRouter) async -> ServiceAnswer {
        let kind = GuardService.kinds[request.endpoint]
        var encoding = GuardEncoding.json
        var reply: GuardReply
        do throws(GuardFailure) {
            encoding = try GuardEncoding(request.message.headers)
            let deadline = try GuardDeadline.read(request.message.headers, arrived: request.arrived)
            if ContinuousClock.now >= deadline { throw .late("when the request arrived") }
            let context = try GuardService.context(of: request.message, kind, encoding)
            reply = await answer(context, until: deadline, router)
        } catch {
            reply = GuardReply(.error(error))
        }
        count(reply, kind: kind)
        environment.metrics.observe(
            "skein_guard_request_seconds", request.arrived.duration(to: .now), ["kind": kind.rawValue])
        return serviceAnswer(reply, encoding)
    }

    private static func context(
        of message: NATSMessage, _ kind: GuardQuestion.Kind, _ encoding: GuardEncoding
    ) throws(GuardFailure) -> GuardContext {
        let tenant = SkeinSubjects.tenant(ofGuard: message.subject) ?? ""
        guard SkeinSubjects.isTenant(tenant) else {
            throw GuardFailure(
                .badRequest, "the tenant of the subject must be made of a-z, 0-9, _ and -, and not be _ alone")
        }
        do throws(GuardMessageError) {
            return GuardContext(tenant: tenant, question: try encoding.question(message.payload, kind: kind))
        } catch {
            throw GuardFailure(.badRequest, "\(error)")
        }
    }

    private func answer(
        _ context: GuardContext, until deadline: ContinuousClock.Instant, _ router: BudgetRouter
    ) async -> GuardReply {
        let policy = state.withLock { $0.policy }
        let question = context.question
        let outcome = await policy.answer(context, until: deadline) { demands in
            await router.count(demands, id: GuardService.callID(of: question), tenant: context.tenant, until: deadline)
        }
        alerts.tell(outcome.alerts, of: context)
        return outcome.reply
    }

    /// The same for a call that is asked about again. One without a `call_id` is another one each time; so is one that only has the
    /// `call_id` of another, as agents that number their calls anew in every turn have.
    private static func callID(of question: GuardQuestion) -> UInt64 {
        let content: JSONValue =
            switch question.call {
            case .tool(let arguments): arguments
            case .llm(_, let content): content
            }
        return BudgetCall.id(
            question.call.kind.rawValue, question.trajectory?.description ?? "", question.parent?.description ?? "",
            question.agent ?? "", question.name, question.callID ?? UUID().uuidString, content.compactText)
    }

    private func serviceAnswer(_ reply: GuardReply, _ encoding: GuardEncoding) -> ServiceAnswer {
        var failure: ServiceFailure?
        if case .error(let error) = reply.decision {
            failure = ServiceFailure(code: error.code.number, description: error.message)
        }
        return ServiceAnswer(
            headers: [SkeinHeaders.contentType: encoding.contentType], payload: encoding.encode(reply),
            failure: failure)
    }

    private func count(_ reply: GuardReply, kind: GuardQuestion.Kind) {
        let decision: String
        switch reply.decision {
        case .allow: decision = "allow"
        case .reject(let rule, _):
            decision = "reject"
            environment.metrics.add("skein_guard_rejections_total", 1, ["rule": rule])
        case .transform: decision = "transform"
        case .error(let failure):
            decision = "error"
            environment.metrics.add("skein_guard_errors_total", 1, ["reason": failure.code.rawValue])
        }
        environment.metrics.add("skein_guard_requests_total", 1, ["kind": kind.rawValue, "decision": decision])
    }
}

extension GuardFailure.Code {
    /// In the manner of HTTP, as NATS services tell it.
    var number: Int {
        switch self {
        case .badRequest: 400
        case .deadlineExceeded: 408
        case .busy: 429
        case .ruleFailed: 500
        case .budgetUnavailable: 503
        }
    }
}
