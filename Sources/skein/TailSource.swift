internal import Foundation
internal import NATSTransport

/// Where `skein tail` reads: a place of its own, or one that the server remembers.
enum TailSource: Sendable {
    case own(PullConsumer)
    case durable(DurableConsumer, NATSConnection)

    /// A message, and where to acknowledge it.
    struct Incoming: Sendable {
        let message: JetStreamMessage
        fileprivate let delivery: DurableConsumer.Delivery?
    }

    static func open(
        _ jetStream: JetStream, stream: String, filter: String, durable: String?, fromOldest: Bool
    ) async throws -> TailSource {
        let last = try await jetStream.lastSequence(ofExisting: stream)
        if let durable {
            let consumer = try await DurableConsumer.open(
                jetStream, stream: stream, name: durable, filterSubject: filter, isNew: !fromOldest)
            return .durable(consumer, jetStream.connection)
        }
        let configuration = PullConsumerConfiguration(
            stream: stream, namePrefix: "skein-tail-\(UUID().uuidString)", filterSubjects: [filter],
            startSequence: fromOldest ? 1 : last + 1)
        return .own(
            try PullConsumer(
                jetStream, configuration, budget: PrefetchBudget(total: 8 << 20), shouldContinue: { true }))
    }

    /// - Returns: nothing when nothing came for some seconds.
    func next() async throws -> [Incoming] {
        switch self {
        case .own(let consumer): return try await consumer.next(max: 64).map { Incoming(message: $0, delivery: nil) }
        case .durable(let consumer, let connection):
            do throws(NATSError) {
                let delivery = try await consumer.next()
                return delivery.map { [Incoming(message: $0.message, delivery: $0)] } ?? []
            } catch {
                // As the other kind of reader does.
                try await TailSource.outlast(error, connection)
                return []
            }
        }
    }

    /// Waits for a broker that is away, until another try is worth it.
    ///
    /// - Throws: the error when none ever is.
    static func outlast(_ error: NATSError, _ connection: NATSConnection) async throws {
        guard error.isTemporary else { throw error }
        try await connection.connected()
        try await Task.sleep(for: .milliseconds(250))
    }

    func acknowledge(_ incoming: Incoming) async throws {
        if case .durable(let consumer, _) = self, let delivery = incoming.delivery {
            try await consumer.acknowledge(delivery)
        }
    }

    func stop() async { if case .own(let consumer) = self { await consumer.stop() } }
}
