internal import ATOF
internal import Foundation
internal import Logging
internal import Middleware
internal import NATSTransport
internal import Stages
internal import Synchronization

/// Asks workers over request-reply: the machines decide, this sends and waits.
///
/// Announcements are read by `run`; until it runs, and before the first ones came, nobody is there. Questions of the first seconds wait
/// for the workers that are configured, so that a collector that starts does not treat them as gone.
final class WorkerPool: Sendable {
    private let connection: NATSConnection
    private let metrics: Metrics
    private let logger: Logger
    private let settings: [String: WorkerSettings]
    private let gates: [String: CallGate]
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    /// How long the first questions wait for workers that have not been heard of.
    private let patience: Duration
    private static let tick = Duration.milliseconds(100)
    private static let maximumRefused = 256

    /// A question that waits for the workers to be heard of.
    private struct Early {
        let continuation: CheckedContinuation<Void, Never>
        /// When whoever asks has no more time.
        let until: ContinuousClock.Instant?
    }

    private struct State {
        var registry: WorkerRegistry
        var early: [Early] = []
        var isOpen: Bool
        var lastCall: UInt64 = 0
        /// Announcements that could not be used and were told of, by subject and field.
        var refused: Set<String> = []
    }

    init(
        _ connection: NATSConnection, _ workers: [WorkerSettings], metrics: Metrics, logger: Logger,
        patience: Duration = .seconds(3)
    ) {
        self.patience = patience
        self.connection = connection
        self.metrics = metrics
        self.logger = logger
        settings = Dictionary(workers.map { ($0.name, $0) }) { first, _ in first }
        gates = settings.mapValues {
            CallGate(WorkerCallMachine(maximumInFlight: $0.maximumInFlight, deadline: $0.deadline))
        }
        state = Mutex(State(registry: WorkerRegistry(workers), isOpen: workers.isEmpty))
    }

    /// Time since the pool was made: what the registry counts in.
    private var now: Duration { ContinuousClock.now - start }

    // MARK: Announcements

    /// Listens to the workers until it is cancelled or the connection is closed.
    func run() async throws {
        defer { open() }
        let announcements = try await connection.subscribe(subject: SkeinSubjects.workerAnnouncements)
        do throws(NATSError) {
            try await connection.publish(subject: SkeinSubjects.workerHello, payload: [])
        } catch {
            // They say so by themselves before long.
            logger.warning("workers could not be asked who they are", metadata: ["error": "\(error)"])
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask {
                while true {
                    try await Task.sleep(for: WorkerPool.tick)
                    self.timePassed()
                }
            }
            group.addTask {
                for await message in announcements { self.received(message) }
            }
        }
    }

    private func received(_ message: NATSMessage) {
        let announcement: WorkerAnnouncement
        do throws(WorkerMessageError) {
            announcement = try WorkerAnnouncement(
                message.payload, contentType: message.headers[SkeinHeaders.contentType])
            guard message.subject == SkeinSubjects.workerAnnouncement(name: announcement.name) else {
                throw WorkerMessageError("name", "is not the last token of the subject")
            }
        } catch {
            refused(message, error)
            return
        }
        let now = now
        let (notices, unconfigured) = state.withLock { state in
            let before = state.registry.unconfiguredAnnouncements
            let notices = state.registry.announced(announcement, at: now)
            return (notices, state.registry.unconfiguredAnnouncements - before)
        }
        metrics.add("skein_worker_unconfigured_announcements_total", unconfigured)
        for case .appeared(let worker, _, _) in notices { gates[worker]?.appeared() }
        tell(notices)
        openIfReady()
    }

    private func refused(_ message: NATSMessage, _ error: WorkerMessageError) {
        metrics.add("skein_worker_announcements_refused_total")
        let isNew = state.withLock { state in
            state.refused.count < WorkerPool.maximumRefused
                && state.refused.insert("\(message.subject) \(error.field)").inserted
        }
        // Somebody who repeats his mistake does not fill the log.
        guard isNew else { return }
        logger.warning(
            "an announcement of a worker cannot be used",
            metadata: ["subject": "\(message.subject.prefix(128))", "error": "\(error)"])
    }

    private func timePassed() {
        let now = now
        tell(state.withLock { $0.registry.timePassed(now) })
        for gate in gates.values { gate.timePassed() }
        openIfReady()
        endEarly()
        for (name, gate) in gates {
            let figures = gate.figures
            let instances = state.withLock { $0.registry.instances(of: name) }
            metrics.set("skein_worker_instances", Double(instances), ["worker": name])
            metrics.set("skein_worker_in_flight", Double(figures.inFlight), ["worker": name])
            metrics.set("skein_worker_waiting", Double(figures.waiting), ["worker": name])
            metrics.set("skein_worker_circuit_open", figures.isCircuitOpen ? 1 : 0, ["worker": name])
        }
    }

    private func tell(_ notices: [WorkerRegistry.Notice]) {
        for notice in notices {
            switch notice {
            case .appeared(let worker, let instance, let digest):
                logger.info(
                    "a worker is there",
                    metadata: ["worker": "\(worker)", "instance": "\(instance)", "digest": "\(digest)"])
            case .left(let worker, let instance):
                logger.info("a worker has left", metadata: ["worker": "\(worker)", "instance": "\(instance)"])
            case .expired(let worker, let instance):
                metrics.add("skein_worker_expired_total", 1, ["worker": worker])
                logger.warning(
                    "a worker is gone: three of its heartbeats did not come",
                    metadata: ["worker": "\(worker)", "instance": "\(instance)"])
            case .conflict(let worker, let digests):
                metrics.add("skein_worker_conflicts_total", 1, ["worker": worker])
                logger.warning(
                    "instances of a worker contradict each other; on_conflict says which are asked",
                    metadata: ["worker": "\(worker)", "digests": "\(digests.joined(separator: ", "))"])
            case .unconfigured(let worker):
                logger.warning(
                    "a worker that the configuration does not name is sent nothing", metadata: ["worker": "\(worker)"])
            case .lacks(let worker, let surfaces):
                logger.warning(
                    "a worker does not serve what the configuration asks of it",
                    metadata: [
                        "worker": "\(worker)", "surfaces": "\(surfaces.map(\.rawValue).joined(separator: ", "))",
                    ])
            case .tooManyInstances(let worker):
                metrics.add("skein_worker_announcements_refused_total")
                logger.warning("a worker has too many instances", metadata: ["worker": "\(worker)"])
            }
        }
    }

    private func openIfReady() {
        if now >= patience || state.withLock({ $0.registry.isComplete }) { open() }
    }

    /// Lets the questions go that have waited for the workers.
    private func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.early = [] }
            return state.early
        }
        for waiter in waiters { waiter.continuation.resume() }
    }

    /// Lets the questions go whose time is over.
    private func endEarly() {
        let now = ContinuousClock.now
        let over = state.withLock { state in
            let over = state.early.filter { $0.until.map { $0 <= now } ?? false }
            state.early.removeAll { $0.until.map { $0 <= now } ?? false }
            return over
        }
        for waiter in over { waiter.continuation.resume() }
    }

    private func opened(until deadline: ContinuousClock.Instant?) async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.early.append(Early(continuation: continuation, until: deadline)) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    // MARK: Calls

    /// Asks each question of its worker, and returns the answers in the order of the questions.
    func ask(_ questions: [WorkerExchange.Question]) async -> [WorkerAnswer] {
        var answers = [WorkerAnswer](repeating: .failure(.tooLarge), count: questions.count)
        // JSON takes more than protobuf; a call that is too large all the same is halved.
        let batches = WorkerBatch.batches(of: questions, maximumBytes: max(1024, connection.maxPayload / 4 * 3))
        await withTaskGroup(of: (members: [Int], answers: [WorkerAnswer]).self) { group in
            for batch in batches {
                group.addTask {
                    let answers = await self.call(
                        batch.worker, batch.surface, tenant: batch.tenant, batch.members.map { questions[$0].item })
                    return (batch.members, answers)
                }
            }
            for await batch in group {
                for (member, answer) in zip(batch.members, batch.answers) { answers[member] = answer }
            }
        }
        let sent = Set(batches.flatMap(\.members))
        for (index, question) in questions.enumerated() where !sent.contains(index) {
            count(.tooLarge, 1, question.place.worker, question.place.surface)
        }
        return answers
    }

    /// - Parameter deadline: earlier than the worker's own, when whoever asks has less time.
    func call(
        _ worker: String, _ surface: WorkerSurface, tenant: String, _ items: [WorkerCall.Item],
        until deadline: ContinuousClock.Instant? = nil
    ) async -> [WorkerAnswer] {
        guard let gate = gates[worker], let settings = settings[worker] else {
            return failed(.gone, items.count, worker, surface)
        }
        await opened(until: deadline)
        let pass: CallGate.Pass
        switch await gate.enter(until: deadline) {
        case .success(let admitted): pass = admitted
        case .failure(let failure): return failed(failure, items.count, worker, surface)
        }
        let outcome = await send(settings, surface, tenant, items, until: pass.until)
        switch outcome {
        case .success(let answers):
            gate.leave(pass, answers.contains(.failure(.wrongReply)) ? .wrongReply : nil)
            for case .failure(let failure) in answers { count(failure, 1, worker, surface) }
            return answers
        case .failure(.tooLarge) where items.count > 1:
            gate.leave(pass, .tooLarge)
            let half = items.count / 2
            async let first = call(worker, surface, tenant: tenant, Array(items[..<half]), until: deadline)
            async let second = call(worker, surface, tenant: tenant, Array(items[half...]), until: deadline)
            return await first + second
        case .failure(let failure):
            // Who asks with less time than the worker has says nothing about the worker.
            let isAskers = failure == .deadline && deadline.map { $0 <= pass.until } == true
            gate.leave(pass, isAskers ? .disconnected : failure)
            return failed(failure, items.count, worker, surface)
        }
    }

    /// Counts a result that turned out to be none of its call.
    func refuse(_ failure: WorkerFailure, _ worker: String, _ surface: WorkerSurface) {
        count(failure, 1, worker, surface)
    }

    private func failed(
        _ failure: WorkerFailure, _ amount: Int, _ worker: String, _ surface: WorkerSurface
    ) -> [WorkerAnswer] {
        count(failure, amount, worker, surface)
        return Array(repeating: .failure(failure), count: amount)
    }

    private func count(_ failure: WorkerFailure, _ amount: Int, _ worker: String, _ surface: WorkerSurface) {
        metrics.add(
            "skein_worker_failures_total", amount,
            ["worker": worker, "surface": surface.rawValue, "reason": failure.rawValue])
    }

    private func send(
        _ settings: WorkerSettings, _ surface: WorkerSurface, _ tenant: String, _ items: [WorkerCall.Item],
        until end: ContinuousClock.Instant
    ) async -> Result<[WorkerAnswer], WorkerFailure> {
        let worker = settings.name
        let (found, id) = state.withLock { state in
            state.lastCall += 1
            return (state.registry.route(worker, surface), state.lastCall)
        }
        let route: WorkerRegistry.Route
        switch found {
        case .success(let known): route = known
        case .failure(let failure): return .failure(failure)
        }
        let begin = ContinuousClock.now
        let time = end - begin
        guard time > .zero else { return .failure(.deadline) }
        let millis = max(1, Int64(time / .milliseconds(1)))
        let call = WorkerCall(
            id: "\(id)", surface: surface, tenant: tenant,
            deadline: UInt64(max(0, Date().timeIntervalSince1970 * 1000)) + UInt64(millis),
            timeoutMillis: UInt32(clamping: millis), items: items)
        let result = await exchange(call, settings, route, timeout: time)
        let labels: KeyValuePairs = ["worker": worker, "surface": surface.rawValue]
        metrics.add("skein_worker_calls_total", 1, labels)
        metrics.add("skein_worker_items_total", items.count, labels)
        metrics.observe("skein_worker_call_seconds", ContinuousClock.now - begin, labels)
        return result
    }

    private func exchange(
        _ call: WorkerCall, _ settings: WorkerSettings, _ route: WorkerRegistry.Route, timeout: Duration
    ) async -> Result<[WorkerAnswer], WorkerFailure> {
        let metadata: Logger.Metadata = ["worker": "\(settings.name)", "surface": "\(call.surface.rawValue)"]
        let reply: NATSMessage
        do throws(NATSError) {
            reply = try await connection.request(
                subject: SkeinSubjects.workerCall(name: settings.name, digest: route.digest, surface: call.surface),
                headers: [SkeinHeaders.contentType: route.encoding.rawValue],
                payload: call.encoded(as: route.encoding), timeout: timeout)
        } catch {
            return .failure(WorkerFailure(error))
        }
        do throws(WorkerMessageError) {
            let read = try WorkerReply(
                reply.payload, encoding: route.encoding, items: call.items.count,
                maximumResultBytes: settings.maximumResultBytes)
            if case .failed(let code) = read {
                logger.warning(
                    "a worker could not answer a call", metadata: metadata.merging(["code": "\(code)"]) { $1 })
                return .failure(.workerError)
            }
            return .success(read.answers(for: call.surface, count: call.items.count))
        } catch {
            logger.warning(
                "a worker's reply cannot be used", metadata: metadata.merging(["error": "\(error)"]) { $1 })
            return .failure(.wrongReply)
        }
    }
}

extension WorkerFailure {
    fileprivate init(_ error: NATSError) {
        switch error.code {
        case .timeout: self = .deadline
        case .noResponders: self = .noResponders
        case .payloadTooLarge: self = .tooLarge
        case .configuration, .unreachable, .authorization, .tls, .unavailable, .notFound, .nameTaken, .noMessage,
            .wrongLastSequence, .wrongLastRevision, .streamFull, .streamChanged, .disconnected, .closed, .fenced,
            .cancelled, .protocolViolation, .api:
            self = .disconnected
        }
    }
}
