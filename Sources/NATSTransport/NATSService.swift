internal import Foundation
internal import Synchronization

/// Why a service did not do what it was asked for, as `Nats-Service-Error-Code` and `Nats-Service-Error` tell it.
package struct ServiceFailure: Sendable, Hashable, CustomStringConvertible {
    /// In the manner of HTTP.
    package let code: Int
    package let description: String

    package init(code: Int, description: String) {
        self.code = code
        self.description = description
    }
}

/// A request that a service works on.
package struct ServiceRequest: Sendable {
    /// Its index in the service's description.
    package let endpoint: Int
    package let message: NATSMessage
    package let arrived: ContinuousClock.Instant
}

package struct ServiceAnswer: Sendable {
    package var headers: NATSHeaders
    package var payload: [UInt8]
    /// It goes into the headers beside the payload.
    package var failure: ServiceFailure?

    package init(headers: NATSHeaders = [:], payload: [UInt8], failure: ServiceFailure? = nil) {
        self.headers = headers
        self.payload = payload
        self.failure = failure
    }
}

/// A NATS service: answers requests on its endpoints, each in a task of its own, and discovery on `$SRV` (ADR-32).
///
/// Requests under way are bounded; whoever asks beyond the bound gets an error with code 429 at once, and 503 while the service ends. A request without a reply subject is
/// worked on by nobody.
package final class NATSService: Sendable {
    /// Makes the answer to a request.
    package typealias Handler = @Sendable (ServiceRequest) async -> ServiceAnswer
    /// Makes the answer to one that is turned away.
    package typealias Refusal = @Sendable (ServiceRequest, ServiceFailure) -> ServiceAnswer

    private let connection: NATSConnection
    private let description: ServiceDescription
    private let machine: Mutex<ServiceMachine>
    private let handler: Handler
    private let refusal: Refusal
    private let requests = AsyncStream.makeStream(of: ServiceRequest.self)
    private let subscriptions = Mutex(Subscriptions())
    private let drained = AsyncStream.makeStream(of: Void.self)

    private struct Subscriptions: Sendable {
        var endpoints: [Int] = []
        var discovery: [Int] = []
    }

    /// - Parameter limit: requests under way at the most, over all endpoints.
    package init(
        _ connection: NATSConnection, _ description: ServiceDescription, limit: Int,
        refusal: @escaping Refusal = { ServiceAnswer(payload: [], failure: $1) }, handler: @escaping Handler
    ) {
        self.connection = connection
        self.description = description
        self.refusal = refusal
        self.handler = handler
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        machine = Mutex(ServiceMachine(description, started: formatter.string(from: Date()), limit: limit))
    }

    /// Requests that are worked on now.
    package var inFlight: Int { machine.withLock { $0.inFlight } }

    /// Answers until the service was drained, or the task is cancelled.
    ///
    /// - Throws: `NATSError` when it cannot subscribe.
    package func run() async throws {
        for (index, endpoint) in description.endpoints.enumerated() {
            let id = try await connection.subscribe(
                subject: endpoint.subject, queue: endpoint.queue, deliver: { self.arrived($0, at: index) },
                ended: { self.update { $0.endpointEnded() } })
            subscriptions.withLock { $0.endpoints.append(id) }
        }
        // One subscription for all nine subjects: each has a thread of its own.
        let discovery = try await connection.subscribe(subject: "$SRV.>", queue: nil) { self.discover($0) }
        subscriptions.withLock { $0.discovery.append(discovery) }
        await withDiscardingTaskGroup { group in
            for await request in requests.stream { group.addTask { await self.work(on: request) } }
        }
        machine.withLock { $0.close() }
        for id in subscriptions.withLock({ $0.endpoints.takeAll() + $0.discovery.takeAll() }) {
            connection.endSubscription(id)
        }
        try Task.checkCancellation()
    }

    /// Unsubscribes, answers what has come until then, and ends `run`.
    ///
    /// - Parameter limit: how long that may take.
    package func drain(within limit: Duration) async {
        let endpoints = subscriptions.withLock { $0.endpoints.takeAll() }
        for id in endpoints { connection.drainSubscription(id) }
        // One that has not begun has nothing to wait for.
        if endpoints.isEmpty { drained.continuation.finish() }
        let alarm = Task {
            try await Task.sleep(for: limit)
            drained.continuation.finish()
        }
        for await _ in drained.stream {}
        alarm.cancel()
        machine.withLock { $0.close() }
        requests.continuation.finish()
    }

    /// Changes the machine, and tells whoever waits for it to be drained.
    private func update(_ change: (inout ServiceMachine) -> Void) {
        let isDrained = machine.withLock { machine in
            change(&machine)
            return machine.isDrained
        }
        if isDrained { drained.continuation.finish() }
    }

    // MARK: On cnats' delivery threads

    private func arrived(_ message: NATSMessage, at endpoint: Int) {
        guard message.reply != nil else { return }
        let request = ServiceRequest(endpoint: endpoint, message: message, arrived: .now)
        guard let failure = machine.withLock({ $0.requestArrived(at: endpoint) }) else {
            requests.continuation.yield(request)
            return
        }
        let answer = refusal(request, failure)
        // Whoever asks faster than answers can be written hears of it by the time that passes.
        if connection.outbox.hasRoom { send(answer, to: request) }
    }

    private func discover(_ message: NATSMessage) {
        guard let reply = message.reply else { return }
        // What cannot be written as JSON is not written: there is nothing in it that came from outside.
        guard let answer = try? machine.withLock({ $0 }).answer(to: message.subject) else { return }
        connection.outbox.enqueue(.init(subject: reply, reply: nil, token: nil, headers: [:], payload: answer))
    }

    // MARK: In tasks

    private func work(on request: ServiceRequest) async {
        let answer = await handler(request)
        let failure = send(answer, to: request)
        await connection.outbox.room()
        let time = ContinuousClock.now - request.arrived
        update { $0.requestEnded(at: request.endpoint, nanoseconds: time.nanoseconds, failure: failure) }
    }

    /// - Returns: the failure that was told, which may be that of the answer itself.
    @discardableResult
    private func send(_ answer: ServiceAnswer, to request: ServiceRequest) -> ServiceFailure? {
        var answer = answer
        let subject = request.message.reply ?? ""
        if let error = refused(answer, subject) {
            answer = refusal(request, ServiceFailure(code: 500, description: "the answer cannot be sent: \(error)"))
        }
        connection.outbox.enqueue(
            .init(subject: subject, reply: nil, token: nil, headers: answer.allHeaders, payload: answer.payload))
        return answer.failure
    }

    /// Why an answer would not go out: it is too large, or the reply subject cannot be one.
    private func refused(_ answer: ServiceAnswer, _ subject: String) -> NATSError? {
        do throws(NATSError) {
            try connection.check(subject: subject, headers: answer.allHeaders, payload: answer.payload)
            return nil
        } catch {
            return error
        }
    }
}

extension ServiceAnswer {
    fileprivate var allHeaders: NATSHeaders {
        guard let failure else { return headers }
        var all = headers
        all["Nats-Service-Error"] = failure.description.replacing("\r", with: " ").replacing("\n", with: " ")
        all["Nats-Service-Error-Code"] = String(failure.code)
        return all
    }
}
