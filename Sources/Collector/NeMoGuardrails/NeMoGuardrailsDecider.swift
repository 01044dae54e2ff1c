internal import ATOF
internal import Middleware
internal import Synchronization

/// Model calls are checked by the input rails of a NeMo Guardrails server before they are made. A message that the rails change makes
/// another request of the call.
final class NeMoGuardrailsDecider: GuardDecider {
    private let client: NeMoGuardrailsClient
    /// Verdicts on questions that were evaluated and may come again to be rewritten, by the questions' hashes: seeded at random.
    private let verdicts = Mutex<[Int: NeMoGuardrailsVerdict]>([:])

    private static let maximumVerdicts = 1_024

    init(_ client: NeMoGuardrailsClient) { self.client = client }

    var name: String { NeMoGuardrails.name }
    var priority: Int32 { client.settings.priority }

    func evaluate(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardVerdict {
        guard let verdict = try await verdict(context, until: deadline) else { return GuardVerdict(evaluated: []) }
        switch verdict {
        case .passed, .modified:
            verdicts.withLock { verdicts in
                if verdicts.count >= NeMoGuardrailsDecider.maximumVerdicts { verdicts = [:] }
                verdicts[context.hashValue] = verdict
            }
            return GuardVerdict(evaluated: [name])
        case .blocked(let rail):
            return GuardVerdict(
                evaluated: [name],
                rejection: .init(
                    rule: name, reason: "nemo_guardrails input rail blocked the LLM call by rail '\(rail)'"))
        }
    }

    func rewrite(
        _ context: GuardContext, until deadline: ContinuousClock.Instant
    ) async throws -> GuardQuestion.Call? {
        guard case .llm(let headers, let content) = context.question.call else { return nil }
        // Of another question than was evaluated there is none: another guardrail has rewritten it.
        let known = verdicts.withLock { $0.removeValue(forKey: context.hashValue) }
        let verdict: NeMoGuardrailsVerdict? =
            if let known { known } else { try await verdict(context, until: deadline) }
        switch verdict {
        case .modified(let text)?:
            return .llm(headers: headers, content: try NeMoGuardrailsCheck.rewritten(content, text: text))
        case .passed?, nil: return nil
        // What another guardrail has made of the request in between is blocked: nobody allowed that.
        case .blocked(let rail)?:
            throw GuardFailure(.ruleFailed, "\(name): rail '\(rail)' blocks what the request was rewritten to")
        }
    }

    /// Nil when there is nothing to check, or it could not be checked and the configuration lets it pass then.
    private func verdict(
        _ context: GuardContext, until deadline: ContinuousClock.Instant
    ) async throws -> NeMoGuardrailsVerdict? {
        guard case .llm(_, let content) = context.question.call else { return nil }
        do throws(NeMoGuardrailsFailure) {
            guard let check = try NeMoGuardrailsCheck(request: content) else { return nil }
            return try await client.check(check, until: deadline).get().verdict
        } catch {
            if client.settings.onFailure == .open { return nil }
            throw GuardFailure(.ruleFailed, "\(name): \(error)")
        }
    }
}
