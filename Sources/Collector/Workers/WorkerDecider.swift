internal import ATOF
internal import Middleware

/// A worker that is asked before the act: whether the call may begin, and what it is made with.
struct WorkerDecider: GuardDecider {
    private let settings: WorkerSettings
    private let pool: WorkerPool

    /// - Returns: nil for a worker that has nothing to say before the act.
    init?(_ settings: WorkerSettings, _ pool: WorkerPool) {
        guard settings.surfaces.contains(where: \.isBeforeAct) else { return nil }
        self.settings = settings
        self.pool = pool
    }

    var name: String { "workers/\(settings.name)" }
    var priority: Int32 { settings.priority }

    func evaluate(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardVerdict {
        let surface: WorkerSurface =
            switch context.question.call {
            case .tool: .toolConditional
            case .llm: .llmConditional
            }
        guard let answer = await ask(surface, context, until: deadline) else { return GuardVerdict(evaluated: []) }
        switch answer {
        case .success(.verdict(let isAllowed, let reason)):
            if isAllowed { return GuardVerdict(evaluated: [name]) }
            return GuardVerdict(
                evaluated: [name],
                rejection: .init(rule: name, reason: reason.isEmpty ? "the worker \(settings.name) rejects it" : reason)
            )
        case .failure(let failure): try fail(failure, surface)
        // The pool lets no other result through.
        case .success: try fail(.wrongReply, surface)
        }
        return GuardVerdict(evaluated: [name])
    }

    /// A request intercept of the reference (`middleware-guardrails-pii.md` 4.1, 5.1 step 3): what fails ends the call, unless it is
    /// configured to fail open. It has the call's name and no annotation: whether the content of a model call may change while a codec is
    /// active is for the agent, who knows of the codec.
    func rewrite(
        _ context: GuardContext, until deadline: ContinuousClock.Instant
    ) async throws -> GuardQuestion.Call? {
        let surface: WorkerSurface =
            switch context.question.call {
            case .tool: .toolIntercept
            case .llm: .llmIntercept
            }
        guard let answer = await ask(surface, context, until: deadline) else { return nil }
        switch answer {
        case .success(.unchanged): return nil
        case .success(.value(let value)):
            switch context.question.call {
            case .tool: return .tool(arguments: value)
            case .llm:
                if let call = WorkerDecider.modelCall(value) { return call }
                pool.refuse(.wrongReply, settings.name, surface)
                try fail(.wrongReply, surface)
            }
        case .failure(let failure): try fail(failure, surface)
        case .success: try fail(.wrongReply, surface)
        }
        return nil
    }

    /// Exactly a request: what a worker adds beside it would be lost, and what is none no agent can send.
    private static func modelCall(_ value: JSONValue) -> GuardQuestion.Call? {
        guard let request = value.objectValue, request.count == 2, let headers = request["headers"]?.objectValue,
            headers.allSatisfy({ $0.value.stringValue != nil }), let content = request["content"],
            content.objectValue != nil
        else { return nil }
        return .llm(headers: headers, content: content)
    }

    /// - Returns: nil when the worker is not asked about such calls.
    private func ask(
        _ surface: WorkerSurface, _ context: GuardContext, until deadline: ContinuousClock.Instant
    ) async -> WorkerAnswer? {
        guard settings.surfaces.contains(surface), settings.serves(tenant: context.tenant) else { return nil }
        let value: JSONValue =
            switch context.question.call {
            case .tool(let arguments): arguments
            case .llm(let headers, let content): ["headers": .object(headers), "content": content]
            }
        let answers = await pool.call(
            settings.name, surface, tenant: context.tenant, [.value(value, name: context.question.name)],
            until: deadline)
        return answers.first ?? .failure(.wrongReply)
    }

    /// Returns when the call goes on as it is.
    private func fail(_ failure: WorkerFailure, _ surface: WorkerSurface) throws {
        switch settings.policy(of: surface) {
        case .open: return
        case .closed: throw GuardFailure(.ruleFailed, "\(name): \(failure.rawValue)")
        }
    }
}
