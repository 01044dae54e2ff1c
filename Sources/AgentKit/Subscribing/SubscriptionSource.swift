internal import Foundation
internal import NATSTransport

/// The messages of a subscription, by a durable consumer or by one of its own.
///
/// Apart from `SubscriptionSource`, because Swift 6.3 crashes when it optimises an asynchronous function of a generic actor that returns them.
private actor SubscriptionMessages {
    struct Taken {
        let message: JetStreamMessage
        /// Where to acknowledge it; nil of a consumer that is not durable.
        let delivery: DurableConsumer.Delivery?
    }

    private enum Reader {
        case durable(DurableConsumer)
        case own(PullConsumer)
    }

    private let reader: Reader
    private var waiting: [JetStreamMessage] = []
    /// What is being read: it is told again until it could be.
    private var current: Taken?

    init(
        _ jetStream: JetStream, _ configuration: SubscriberConfiguration, stream: String, filter: String,
        place: SkeinSubscriber.Place
    ) async throws(NATSError) {
        switch place {
        case .durable(let name):
            reader = .durable(
                try await DurableConsumer.open(
                    jetStream, stream: stream, name: name, filterSubject: filter,
                    acknowledgementTime: configuration.acknowledgementTime))
        case .now, .oldest:
            let last = try await jetStream.streamInfo(stream).lastSequence
            reader = .own(
                try PullConsumer(
                    jetStream,
                    PullConsumerConfiguration(
                        stream: stream, namePrefix: "agentkit-\(UUID().uuidString)", filterSubjects: [filter],
                        startSequence: place == .now ? last + 1 : 1),
                    budget: PrefetchBudget(total: configuration.prefetchBytes), shouldContinue: { true }))
        }
    }

    deinit {
        if case .own(let consumer) = reader { consumer.close() }
    }

    func next() async throws -> Taken {
        if let current { return current }
        let taken = try await take()
        current = taken
        return taken
    }

    /// The current message could be read.
    func advance() { current = nil }

    // One function for each reader: Swift 6.3 crashes when it optimises the two in one.
    private func take() async throws -> Taken {
        switch reader {
        case .durable(let consumer): try await take(from: consumer)
        case .own(let consumer): try await take(from: consumer)
        }
    }

    private func take(from consumer: DurableConsumer) async throws -> Taken {
        var delivery: DurableConsumer.Delivery?
        while delivery == nil {
            try Task.checkCancellation()
            delivery = try await consumer.next()
        }
        guard let delivery else { throw CancellationError() }
        return Taken(message: delivery.message, delivery: delivery)
    }

    private func take(from consumer: PullConsumer) async throws -> Taken {
        while waiting.isEmpty { waiting = try await consumer.next(max: 64) }
        return Taken(message: waiting.removeFirst(), delivery: nil)
    }
}

/// Reads messages for a subscription.
///
/// It is one task's that iterates: calls follow each other.
final class SubscriptionSource<Value: Sendable>: Sendable {
    /// Makes a value of a message; nil when nobody has to see it.
    typealias Read = @Sendable (JetStreamMessage) async throws -> Value?

    private let jetStream: JetStream
    private let messages: SubscriptionMessages
    private let read: Read

    private init(_ jetStream: JetStream, _ messages: SubscriptionMessages, read: @escaping Read) {
        self.jetStream = jetStream
        self.messages = messages
        self.read = read
    }

    /// The place is taken when this returns; a broker that is away is waited for.
    ///
    /// - Throws: `SubscriberError`, and cancellation.
    static func open(
        _ jetStream: JetStream, _ configuration: SubscriberConfiguration, stream: String, filter: String,
        place: SkeinSubscriber.Place, read: @escaping Read
    ) async throws -> SubscriptionSource {
        while true {
            do throws(NATSError) {
                let messages = try await SubscriptionMessages(
                    jetStream, configuration, stream: stream, filter: filter, place: place)
                return SubscriptionSource(jetStream, messages, read: read)
            } catch {
                try await recover(from: error, jetStream.connection)
            }
        }
    }

    /// Returns when another try is worth it.
    ///
    /// - Throws: `SubscriberError` when none ever is, and cancellation.
    private static func recover(from error: NATSError, _ connection: NATSConnection) async throws {
        if error.code == .cancelled { throw CancellationError() }
        guard error.isTemporary else { throw SubscriberError(error) }
        // Nobody tells when a broker that is there can do it.
        if connection.isConnected { return try await Task.sleep(for: .milliseconds(250)) }
        do throws(NATSError) {
            try await connection.connected()
        } catch {
            throw error.code == .cancelled ? CancellationError() : SubscriberError(error)
        }
    }

    /// - Throws: `SubscriberError`, and cancellation.
    func next() async throws -> Delivery<Value> {
        while true {
            do {
                let taken = try await messages.next()
                let value = try await read(taken.message)
                await messages.advance()
                if let value { return Delivery(value: value, acknowledgement: acknowledgement(of: taken.delivery)) }
                // What cannot be acknowledged comes again.
                try? await acknowledgement(of: taken.delivery)()
            } catch let error as NATSError {
                try await Self.recover(from: error, jetStream.connection)
            }
        }
    }

    private func acknowledgement(of delivery: DurableConsumer.Delivery?) -> @Sendable () async throws -> Void {
        let jetStream = jetStream
        return {
            do throws(NATSError) {
                if let delivery { try await DurableConsumer.acknowledge(delivery, over: jetStream) }
            } catch {
                throw SubscriberError(error)
            }
        }
    }
}
