internal import ATOF
internal import Middleware

/// A worker with conditional rules, asked before the act.
struct WorkerDecider: GuardDecider {
    private let settings: WorkerSettings
    private let pool: WorkerPool

    /// - Returns: nil for a worker that has nothing to say before the act.
    init?(_ settings: WorkerSettings, _ pool: WorkerPool) {
        guard settings.surfaces.contains(where: { $0.kind == .conditional }) else { return nil }
        self.settings = settings
        self.pool = pool
    }

    var name: String { "workers/\(settings.name)" }
    var priority: Int32 { settings.priority }

    func evaluate(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardVerdict {
        let question = context.question
        let surface: WorkerSurface
        let value: JSONValue
        switch question.call {
        case .tool(let arguments): (surface, value) = (.toolConditional, arguments)
        case .llm(let headers, let content):
            (surface, value) = (.llmConditional, ["headers": .object(headers), "content": content])
        }
        guard settings.surfaces.contains(surface), settings.serves(tenant: context.tenant) else {
            return GuardVerdict(evaluated: [])
        }
        let answers = await pool.call(
            settings.name, surface, tenant: context.tenant, [.value(value, name: question.name)], until: deadline)
        switch answers.first {
        case .success(.verdict(let isAllowed, let reason))?:
            if isAllowed { return GuardVerdict(evaluated: [name]) }
            return GuardVerdict(
                evaluated: [name],
                rejection: .init(rule: name, reason: reason.isEmpty ? "the worker \(settings.name) rejects it" : reason)
            )
        case .failure(let failure)?: return try failed(failure, surface)
        // The pool lets no other result through, and answers every item.
        case .success?, nil: return try failed(.wrongReply, surface)
        }
    }

    private func failed(_ failure: WorkerFailure, _ surface: WorkerSurface) throws -> GuardVerdict {
        switch settings.policy(of: surface) {
        case .open: return GuardVerdict(evaluated: [name])
        case .closed: throw GuardFailure(.ruleFailed, "\(name): \(failure.rawValue)")
        }
    }
}
