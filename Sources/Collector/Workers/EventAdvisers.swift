internal import Middleware

/// Whom the chain of `process` asks about events: workers, and a server of NeMo Guardrails.
struct EventAdvisers: Sendable {
    let workers: WorkerPool?
    let guardrails: NeMoGuardrailsClient?

    /// Asks everything that the exchange wants to know, and adds the answers.
    func answer(_ exchange: inout WorkerExchange) async {
        let (questions, checks) = (exchange.questions, exchange.checks.map(\.check))
        async let answers = workers?.ask(questions) ?? questions.map { _ in .failure(.gone) }
        async let outcomes =
            guardrails?.check(checks)
            ?? checks.map { _ in .failure(NeMoGuardrailsFailure(.unasked, "no server is configured")) }
        exchange.answered(await answers, await outcomes)
    }
}
