internal import Foundation
package import HTTPTransport
internal import Synchronization

/// Delivers packed items to one OTLP/HTTP endpoint, at least once, and says what is safe to forget.
///
/// Runs an `ExportMachine` with a clock and an HTTP client. Whoever accepts waits while the queue is full; nothing is
/// dropped. All callbacks are called from `run()`, one after the other, never under a lock.
package final class OTLPExporter: Sendable {
    /// The exporter was stopped or its `run()` has ended: it accepts nothing.
    package struct Stopped: Error, CustomStringConvertible {
        package let url: String

        package var description: String { "the exporter to \(url) was stopped and accepts nothing" }
    }

    /// What the exporter tells its owner.
    package struct Handlers: Sendable {
        /// Keeps a refused item safe. It counts as confirmed when this returns; when it throws, it is called again
        /// later with the same item.
        package var deadLetter: @Sendable (ExportItem, ExportRefusal) async throws -> Void
        /// Everything at or below the position is delivered or with the dead letters. Strictly rising.
        package var confirmed: @Sendable (UInt64) -> Void
        package var diagnosed: @Sendable (ExportDiagnostic) -> Void

        package init(
            deadLetter: @escaping @Sendable (ExportItem, ExportRefusal) async throws -> Void,
            confirmed: @escaping @Sendable (UInt64) -> Void = { _ in },
            diagnosed: @escaping @Sendable (ExportDiagnostic) -> Void = { _ in }
        ) {
            self.deadLetter = deadLetter
            self.confirmed = confirmed
            self.diagnosed = diagnosed
        }
    }

    private struct Waiter {
        let id: UInt64
        let isReady: @Sendable (borrowing State) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State: ~Copyable {
        var machine: ExportMachine
        /// What `run()` has to do. At most a request or dead letter, and one confirmation before and after it.
        var actions: [ExportAction] = []
        var bytesSent = 0
        var hasEnded = false
        var waiters: [Waiter] = []
        var nextWaiter: UInt64 = 0

        mutating func takeReadyWaiters() -> [Waiter] {
            var ready: [Waiter] = []
            var others: [Waiter] = []
            for waiter in waiters {
                if hasEnded || waiter.isReady(self) { ready.append(waiter) } else { others.append(waiter) }
            }
            waiters = others
            return ready
        }
    }

    private let configuration: Configuration
    private let client: HTTPClient
    private let handlers: Handlers
    private let origin = ContinuousClock.now
    private let state: Mutex<State>

    /// - Parameters:
    ///   - position: What was confirmed before, by an earlier run.
    ///   - client: May be shared; shut it down after the exporters that use it have ended.
    package init(configuration: Configuration, position: UInt64 = 0, client: HTTPClient, handlers: Handlers) {
        self.configuration = configuration
        self.client = client
        self.handlers = handlers
        state = Mutex(State(machine: ExportMachine(configuration: configuration.delivery, position: position)))
    }

    /// The highest position at or below which everything is delivered or with the dead letters.
    package var confirmedPosition: UInt64 {
        state.withLock { $0.machine.confirmedPosition }
    }

    package var statistics: ExportStatistics {
        state.withLock { state in
            var statistics = state.machine.statistics
            statistics.bytesSent = state.bytesSent
            return statistics
        }
    }

    /// The confirmed position, and what left without being delivered since the last call: at least all of it up to that position.
    package func settle() -> (confirmed: UInt64, losses: [ExportLoss]) {
        state.withLock { state in
            let losses = state.machine.takeLosses()
            return (state.machine.confirmedPosition, losses)
        }
    }

    // MARK: For the producer

    /// Queues the items of all messages up to `position`; waits while the queue is full.
    ///
    /// One caller at a time: items leave in the order of the calls.
    ///
    /// - Parameter lifetime: after which the items are given up, as far as they are not under way; nil never.
    /// - Throws: `CancellationError` or `Stopped`. Some of the items may then be queued, and `position` is not
    ///   confirmed: the caller reads on from `confirmedPosition`.
    package func accept(_ items: [ExportItem], through position: UInt64, lifetime: Duration? = nil) async throws {
        var rest = items[...]
        let expires = lifetime.map { ContinuousClock.now - origin + $0 }
        while true {
            let isOpen = update { state, now in
                guard !state.hasEnded, !state.machine.isStopping else { return (false, []) }
                var actions = state.machine.arrived(&rest, now: now, expires: expires)
                if rest.isEmpty { actions += state.machine.advanced(through: position) }
                return (true, actions)
            }
            guard isOpen else { throw Stopped(url: configuration.request.redactedURL) }
            if rest.isEmpty { return }
            await wait { !$0.machine.isFull || $0.machine.isStopping }
            try Task.checkCancellation()
        }
    }

    /// Sends what is queued now and returns when it has left: delivered or with the dead letters. Returns early when
    /// the task is cancelled or `run()` ends.
    package func flush() async {
        let goal = update { state, now in
            let actions = state.machine.flushRequested(now: now)
            return (state.machine.arrivedItems, actions)
        }
        await wait { $0.machine.departedItems >= goal }
    }

    /// Sends what is queued now without waiting for a full batch, and returns at once.
    package func requestFlush() {
        update { state, now in ((), state.machine.flushRequested(now: now)) }
    }

    /// Accepts nothing more and makes `run()` return once the queue is empty.
    package func stop() {
        update { state, now in ((), state.machine.stopRequested(now: now)) }
    }

    // MARK: The run

    /// Delivers until `stop()` was called and everything queued has left, however long the endpoint takes; or until
    /// the task is cancelled, which aborts a request in flight and confirms nothing. Call it once.
    package func run() async {
        while !Task.isCancelled {
            let (actions, deadline) = state.withLock { state in
                defer { state.actions = [] }
                return (state.actions, state.machine.deadline)
            }
            for action in actions where !Task.isCancelled {
                switch action {
                case .send(let items): await send(items)
                case .deadLetter(let item, let refusal): await deadLetter(item, refusal)
                case .confirmed(let position): handlers.confirmed(position)
                case .report(let diagnostic): handlers.diagnosed(diagnostic)
                case .finished: return end()
                }
            }
            if actions.isEmpty {
                await waitForWork(until: deadline)
                update { state, now in ((), state.machine.timePassed(now: now)) }
            }
        }
        end()
    }

    private func send(_ items: [ExportItem]) async {
        var request = configuration.request
        request.body = configuration.framing.request(for: items)
        if configuration.compression == .gzip { request.body = GZip.compress(request.body) }
        let bytes = request.body.count
        let answer: ExportAnswer
        do {
            answer = ExportAnswer(try await client.send(request), unixTime: Int(Date().timeIntervalSince1970))
        } catch {
            // Not an answer: the items stay unconfirmed, and `run` ends.
            if Task.isCancelled { return }
            answer = .unavailable(reason: error.message, retryAfter: nil)
        }
        update { state, now in
            state.bytesSent += bytes
            return ((), state.machine.answered(answer, now: now, jitter: .random(in: 0..<1)))
        }
    }

    private func deadLetter(_ item: ExportItem, _ refusal: ExportRefusal) async {
        do {
            try await handlers.deadLetter(item, refusal)
            update { state, now in ((), state.machine.deadLettered(now: now)) }
        } catch {
            if Task.isCancelled { return }
            let reason = "dead letter not kept: \(error)"
            update { state, now in
                ((), state.machine.deadLetterFailed(reason: reason, now: now, jitter: .random(in: 0..<1)))
            }
        }
    }

    /// Everybody who still waits goes on, and `accept` refuses.
    private func end() {
        update { state, _ in
            state.hasEnded = true
            return ((), [])
        }
    }

    // MARK: Waiting

    /// Gives the machine an input, keeps its actions for `run()`, and wakes whoever can go on.
    private func update<Result: Sendable>(
        _ input: (inout State, _ now: Duration) -> (Result, [ExportAction])
    ) -> Result {
        let (result, ready) = state.withLock { state in
            let (result, actions) = input(&state, ContinuousClock.now - origin)
            for action in actions {
                // A newer position says all that the older one said.
                if case .confirmed = action, case .confirmed = state.actions.last { state.actions.removeLast() }
                state.actions.append(action)
            }
            return (result, state.takeReadyWaiters())
        }
        for waiter in ready { waiter.continuation.resume() }
        return result
    }

    /// Returns when the condition holds, the task is cancelled or `run()` has ended.
    private func wait(until isReady: @escaping @Sendable (borrowing State) -> Bool) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    // A cancellation before this is seen here, one after it finds the waiter.
                    if state.hasEnded || Task.isCancelled || isReady(state) { return false }
                    state.waiters.append(Waiter(id: id, isReady: isReady, continuation: continuation))
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume()
        }
    }

    /// Returns when there are actions, the deadline is another one, or it is reached.
    private func waitForWork(until deadline: Duration?) async {
        let isReady: @Sendable (borrowing State) -> Bool = { !$0.actions.isEmpty || $0.machine.deadline != deadline }
        guard let deadline else { return await wait(until: isReady) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait(until: isReady) }
            // Throws only when it is cancelled, and then nobody needs the timer.
            group.addTask { try? await ContinuousClock().sleep(until: self.origin + deadline) }
            await group.next()
            group.cancelAll()
        }
    }
}
