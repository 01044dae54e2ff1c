internal import ATOF
internal import HTTPTransport
internal import Logging
internal import Middleware

/// Asks a server of NeMo Guardrails over HTTP: so many checks at once, and none for a while after several failed in a row.
final class NeMoGuardrailsClient: Sendable {
    let settings: NeMoGuardrails
    private let client: HTTPClient
    private let gate: CallGate
    private let metrics: Metrics
    private let logger: Logger

    private static let tick = Duration.milliseconds(100)

    init(_ settings: NeMoGuardrails, metrics: Metrics, logger: Logger) {
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        client = HTTPClient(maxThreads: settings.maximumInFlight)
        gate = CallGate(WorkerCallMachine(maximumInFlight: settings.maximumInFlight, deadline: settings.timeout))
    }

    /// Ends the waits that take too long, until it is cancelled.
    func run() async throws {
        while true {
            try await Task.sleep(for: NeMoGuardrailsClient.tick)
            gate.timePassed()
            let figures = gate.figures
            metrics.set("skein_nemo_guardrails_in_flight", Double(figures.inFlight))
            metrics.set("skein_nemo_guardrails_waiting", Double(figures.waiting))
            metrics.set("skein_nemo_guardrails_circuit_open", figures.isCircuitOpen ? 1 : 0)
        }
    }

    /// The outcomes of several checks, in their order.
    func check(_ checks: [NeMoGuardrailsCheck]) async -> [NeMoGuardrailsOutcome] {
        await withTaskGroup(of: (Int, NeMoGuardrailsOutcome).self) { group in
            // As many as may be under way: those behind them wait here, where they have no deadline yet.
            var waiting = checks.enumerated().makeIterator()
            func next() {
                guard let (index, check) = waiting.next() else { return }
                group.addTask { (index, await self.check(check)) }
            }
            for _ in 0..<settings.maximumInFlight { next() }
            var outcomes = [NeMoGuardrailsOutcome?](repeating: nil, count: checks.count)
            while let (index, outcome) = await group.next() {
                outcomes[index] = outcome
                next()
            }
            return outcomes.map { $0 ?? .failure(NeMoGuardrailsFailure(.unasked, "the check was not made")) }
        }
    }

    /// - Parameter deadline: earlier than the configured timeout, when whoever asks has less time.
    func check(
        _ check: NeMoGuardrailsCheck, until deadline: ContinuousClock.Instant? = nil
    ) async -> NeMoGuardrailsOutcome {
        let pass: CallGate.Pass
        switch await gate.enter(until: deadline) {
        case .success(let admitted): pass = admitted
        case .failure(let failure): return count(.failure(NeMoGuardrailsFailure(refused: failure)), check)
        }
        let begin = ContinuousClock.now
        let outcome = await send(check, timeout: max(.milliseconds(1), pass.until - begin))
        switch outcome {
        case .success: gate.leave(pass, nil)
        // An answer that refuses the request shows that the server is there.
        case .failure(let failure) where failure.status.map({ (400..<500).contains($0) && $0 != 429 }) == true:
            gate.leave(pass, nil)
        case .failure(let failure) where failure.kind == .unasked: gate.leave(pass, .disconnected)
        // Who asks with less time than is configured says nothing about the server.
        case .failure where deadline.map({ $0 <= pass.until && ContinuousClock.now >= $0 }) == true:
            gate.leave(pass, .disconnected)
        case .failure: gate.leave(pass, .workerError)
        }
        metrics.observe("skein_nemo_guardrails_check_seconds", ContinuousClock.now - begin)
        return count(outcome, check)
    }

    private func send(_ check: NeMoGuardrailsCheck, timeout: Duration) async -> NeMoGuardrailsOutcome {
        var headers = [(name: "Content-Type", value: "application/json")]
        headers += settings.headers.map { (name: $0.name, value: $0.value) }
        let request = HTTPRequest(
            method: "POST", url: settings.url, headers: headers, body: settings.body(of: check), timeout: timeout)
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await client.send(request)
        } catch {
            return .failure(NeMoGuardrailsFailure(error))
        }
        guard !response.bodyWasCut else {
            return .failure(
                NeMoGuardrailsFailure(
                    .wrongAnswer, status: response.status,
                    "the answer has more than \(HTTPResponse.maxBodyBytes) bytes"))
        }
        do throws(NeMoGuardrailsFailure) {
            let verdict = try NeMoGuardrailsVerdict(status: response.status, body: response.body, to: check)
            return .success(NeMoGuardrailsAnswer(status: response.status, verdict: verdict))
        } catch {
            return .failure(error)
        }
    }

    private func count(_ outcome: NeMoGuardrailsOutcome, _ check: NeMoGuardrailsCheck) -> NeMoGuardrailsOutcome {
        let surface =
            switch check {
            case .input: "input"
            case .output: "output"
            case .toolOutput: "tool_output"
            }
        let word: String
        switch outcome {
        case .success(let answer):
            word =
                switch answer.verdict {
                case .passed: "passed"
                case .modified: "modified"
                case .blocked: "blocked"
                }
        case .failure(let failure):
            word = "failed"
            metrics.add(
                "skein_nemo_guardrails_failures_total", 1, ["surface": surface, "reason": failure.kind.rawValue])
            logger.warning(
                "a check by NeMo Guardrails has failed", metadata: ["surface": "\(surface)", "error": "\(failure)"])
        }
        metrics.add("skein_nemo_guardrails_checks_total", 1, ["surface": surface, "outcome": word])
        return outcome
    }
}

extension NeMoGuardrailsFailure {
    fileprivate init(refused failure: WorkerFailure) {
        switch failure {
        case .deadline: self.init(.timeout, "the check waited for others until its time was over")
        case .overloaded: self.init(.overloaded, "too many checks wait already")
        case .circuitOpen: self.init(.circuitOpen, "the last checks have failed; none is tried for a while")
        case .gone, .conflict, .configMismatch, .noResponders, .workerError, .wrongReply, .tooLarge, .disconnected:
            self.init(.unasked, "the check was given up")
        }
    }

    /// The URL in the error's message has no userinfo and no query.
    fileprivate init(_ error: HTTPError) {
        switch error.code {
        case .timeout: self.init(.timeout, error.message)
        case .unresolved, .refused, .tls, .other: self.init(.unreachable, error.message)
        case .cancelled: self.init(.unasked, error.message)
        }
    }
}
