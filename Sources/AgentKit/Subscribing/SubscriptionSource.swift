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
    private let reader: Reader
    private let read: Read
    private var waiting: [JetStreamMessage] = []
    /// What is being read: it is tried again until it could be.
    private var current: (message: JetStreamMessage, done: Done)?

    private init(_ jetStream: JetStream, _ reader: Reader, read: @escaping Read) {
        self.jetStream = jetStream
        self.reader = reader
        self.read = read
    }

    deinit {
        if case .own(let consumer) = reader { consumer.close() }
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
                let reader = try await open(jetStream, configuration, stream: stream, filter: filter, place: place)
                return SubscriptionSource(jetStream, reader, read: read)
            } catch {
                try await recover(from: error, jetStream.connection)
            }
        }
    }

    private static func open(
        _ jetStream: JetStream, _ configuration: SubscriberConfiguration, stream: String, filter: String,
        place: SkeinSubscriber.Place
    ) async throws(NATSError) -> Reader {
        switch place {
        case .durable(let name):
            return .durable(
                try await DurableConsumer.open(
                    jetStream, stream: stream, name: name, filterSubject: filter,
                    acknowledgementTime: configuration.acknowledgementTime))
        case .now, .oldest:
            let last = try await jetStream.streamInfo(stream).lastSequence
            return .own(
                try PullConsumer(
                    jetStream,
                    PullConsumerConfiguration(
                        stream: stream, namePrefix: "agentkit-\(UUID().uuidString)", filterSubjects: [filter],
                        startSequence: place == .now ? last + 1 : 1),
                    budget: PrefetchBudget(total: configuration.prefetchBytes), shouldContinue: { true }))
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
                let (message, done) = try await message()
                current = (message, done)
                let (finished, value) = try await read(message, done)
                current = nil
                if let value { return Delivery(value: value, acknowledgement: acknowledgement(of: finished)) }
                // What cannot be acknowledged comes again.
                try? await acknowledgement(of: finished)()
            } catch let error as NATSError {
                try await Self.recover(from: error, jetStream.connection)
            }
        }
    }

    private func message() async throws -> (JetStreamMessage, Done) {
        if let current { return current }
        while true {
            switch reader {
            case .durable(let consumer):
                try Task.checkCancellation()
                if let delivery = try await consumer.next() { return (delivery.message, Done(delivery: delivery)) }
            case .own(let consumer):
                if !waiting.isEmpty { return (waiting.removeFirst(), Done(delivery: nil)) }
                waiting = try await consumer.next(max: 64)
            }
        }
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
