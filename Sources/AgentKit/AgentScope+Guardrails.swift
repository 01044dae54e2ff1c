internal import ATOF

extension AgentScope {
    /// What the guardrails leave of a call: rewritten by the collectors, or as it was asked for.
    enum Guarded {
        case unchanged
        case rewritten(GuardQuestion.Call)
    }

    /// Evaluates guardrails one after the other, publishing a pair for each, and the mark for a rejection
    /// (`middleware-guardrails-pii.md` 4.2).
    ///
    /// - Parameters:
    ///   - local: the agent's own, with names.
    ///   - question: for the collectors.
    /// - Throws: the rejection, or what failed.
    func askGuardrails(
        of call: ManagedCall, _ local: [(name: String, decide: @Sendable () async throws -> GuardDecision)],
        _ question: () -> GuardQuestion.Call
    ) async throws -> Guarded {
        for guardrail in local {
            let start = runtime.clock.now()
            let uuid = runtime.clock.makeUUID(start)
            publish(call.guardrailStart(guardrail.name, uuid: uuid, at: start))
            func end(_ outcome: GuardOutcome) {
                publish(
                    call.guardrailEnd(
                        guardrail.name, uuid: uuid, startedAt: start, outcome, at: runtime.clock.now()))
            }
            let decision: GuardDecision
            do {
                decision = try await guardrail.decide()
            } catch {
                end(GuardOutcome(error))
                throw error
            }
            switch decision {
            case .allow: end(.allowed)
            case .reject(let reason):
                end(.rejected(reason))
                throw rejected(call, reason)
            }
        }
        guard let guards = runtime.settings.remoteGuards else { return .unchanged }
        return try await ask(guards, call, question())
    }

    private func rejected(_ call: ManagedCall, _ reason: String) -> AgentKitError {
        publish(call.rejectionMark(reason, uuid: makeUUID(), at: runtime.clock.now()))
        return AgentKitError(.guardrailRejected, reason)
    }

    // MARK: The collectors

    private func ask(
        _ guards: RemoteGuards, _ call: ManagedCall, _ content: GuardQuestion.Call
    ) async throws -> Guarded {
        var question = GuardQuestion(name: call.name, call: content)
        question.agent = frame.agentName
        question.trajectory = frame.run
        question.parent = frame.uuid
        question.callID = call.uuid.description
        let start = runtime.clock.now()
        let reply: GuardReply
        do {
            reply = try await guards.asker.ask(question)
        } catch {
            publishPair(call, RemoteGuards.name, GuardOutcome(error), start)
            if guards.failsOpen, !Task.isCancelled, !(error is CancellationError) { return .unchanged }
            throw error
        }
        for evaluation in reply.evaluations {
            switch evaluation.outcome {
            case .allowed: publishPair(call, evaluation.name, .allowed, start)
            case .rejected(let reason): publishPair(call, evaluation.name, .rejected(reason), start)
            case .failed(let text): publishPair(call, evaluation.name, .failed(text), start)
            }
        }
        switch reply.decision {
        case .allow: return .unchanged
        case .transform(let call): return .rewritten(call)
        case .reject(let rule, let reason):
            if !reply.evaluations.contains(where: { $0.outcome == .rejected(reason: reason) }) {
                publishPair(call, rule.isEmpty ? RemoteGuards.name : rule, .rejected(reason), start)
            }
            throw rejected(call, reason)
        case .error(let failure):
            let error = AgentKitError(.internalError, "\(RemoteGuards.name): \(failure.message)")
            if !reply.evaluations.contains(where: { if case .failed = $0.outcome { true } else { false } }) {
                publishPair(call, RemoteGuards.name, GuardOutcome(error), start)
            }
            if guards.failsOpen { return .unchanged }
            throw error
        }
    }

    private func publishPair(_ call: ManagedCall, _ name: String, _ outcome: GuardOutcome, _ start: EventTime) {
        let uuid = makeUUID()
        publish(call.guardrailStart(name, uuid: uuid, at: start))
        publish(call.guardrailEnd(name, uuid: uuid, startedAt: start, outcome, at: runtime.clock.now()))
    }
}

extension GuardOutcome {
    init(_ error: any Error) {
        switch CallFailure(error, isCancelled: Task.isCancelled) {
        case .failed(let text, _, _): self = .failed(text)
        case .cancelled, .streamDropped: self = .cancelled
        }
    }
}
