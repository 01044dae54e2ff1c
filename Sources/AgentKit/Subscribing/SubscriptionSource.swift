internal import Foundation
internal import NATSTransport

/// Reads messages for a subscription, by a durable consumer or by one of its own.
///
/// An actor, because it is one task's that iterates: calls follow each other.
actor SubscriptionSource<Value: Sendable> {
    /// A message and, of a durable consumer, where to acknowledge it.
    struct Done: Sendable {
        fileprivate let delivery: DurableConsumer.Delivery?
    }

    /// Makes a value of a message: which messages are done with, when their value is, and the value.
    typealias Read = @Sendable (JetStreamMessage, Done) async throws -> (done: [Done], value: Value?)

    private enum Reader {
        case durable(DurableConsumer)
        case own(PullConsumer)
    }

    private let jetStream: JetStream
    private let configuration: SubscriberConfiguration
    private let stream: String
    private let filter: String
    private let refusal: SubscriberError?
    private let place: SkeinSubscriber.Place
    private let read: Read
    private var reader: Reader?
    private var waiting: [JetStreamMessage] = []
    private static var pause: Duration { .milliseconds(250) }

    init(
        _ jetStream: JetStream, _ configuration: SubscriberConfiguration, stream: String, filter: String,
        refusal: SubscriberError?, place: SkeinSubscriber.Place, read: @escaping Read
    ) {
        self.jetStream = jetStream
        self.configuration = configuration
        self.stream = stream
        self.filter = filter
        self.refusal = refusal
        self.place = place
        self.read = read
    }

    deinit {
        if case .own(let consumer) = reader { consumer.close() }
    }

    /// - Throws: `SubscriberError`, and cancellation.
    func next() async throws -> Delivery<Value> {
        if let refusal { throw refusal }
        while true {
            do {
                let (message, done) = try await message()
                let (finished, value) = try await read(message, done)
                let acknowledgement = acknowledgement(of: finished)
                guard let value else {
                    try await acknowledgement()
                    continue
                }
                return Delivery(value: value, acknowledgement: acknowledgement)
            } catch let error as NATSError {
                if error.code == .cancelled { throw CancellationError() }
                guard error.isTemporary else { throw SubscriberError(error) }
                // What was not acknowledged comes again; a consumer of its own goes on by itself.
                try await Task.sleep(for: Self.pause)
            }
        }
    }

    private func message() async throws -> (JetStreamMessage, Done) {
        while true {
            switch try await openedReader() {
            case .durable(let consumer):
                try Task.checkCancellation()
                if let delivery = try await consumer.next() { return (delivery.message, Done(delivery: delivery)) }
            case .own(let consumer):
                if !waiting.isEmpty { return (waiting.removeFirst(), Done(delivery: nil)) }
                waiting = try await consumer.next(max: 64)
            }
        }
    }

    private func openedReader() async throws -> Reader {
        if let reader { return reader }
        let opened: Reader
        switch place {
        case .durable(let name):
            opened = .durable(
                try await DurableConsumer.open(
                    jetStream, stream: stream, name: name, filterSubject: filter,
                    acknowledgementTime: configuration.acknowledgementTime))
        case .now, .oldest:
            let last = try await jetStream.streamInfo(stream).lastSequence
            opened = .own(
                try PullConsumer(
                    jetStream,
                    PullConsumerConfiguration(
                        stream: stream, namePrefix: "agentkit-\(UUID().uuidString)", filterSubjects: [filter],
                        startSequence: place == .now ? last + 1 : 1),
                    budget: PrefetchBudget(total: configuration.prefetchBytes), shouldContinue: { true }))
        }
        reader = opened
        return opened
    }

    private nonisolated func acknowledgement(of finished: [Done]) -> @Sendable () async throws -> Void {
        let deliveries = finished.compactMap(\.delivery)
        let jetStream = jetStream
        return {
            do throws(NATSError) {
                for delivery in deliveries { try await DurableConsumer.acknowledge(delivery, over: jetStream) }
            } catch {
                throw SubscriberError(error)
            }
        }
    }
}
