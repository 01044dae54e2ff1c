internal import Foundation

/// A consumer that the server keeps under a name, with how far its readers came: what was not acknowledged is delivered again.
///
/// Any number of readers share one; each asks for a message at a time, so that a slow one holds back nothing that another could do.
package struct DurableConsumer: Sendable {
    /// A message and where to say that it is done with.
    package struct Delivery: Sendable {
        package let message: JetStreamMessage
        fileprivate let reply: String
    }

    private let jetStream: JetStream
    private let stream: String
    private let name: String
    /// How long a request for a message waits on the server.
    private static let expires = Duration.seconds(5)

    /// Makes the consumer, or finds the one of the name.
    ///
    /// - Parameters:
    ///   - filterSubject: what it reads.
    ///   - isNew: whether a consumer that is made now begins behind the last message instead of with the oldest.
    ///   - acknowledgementTime: what is not acknowledged within it is delivered again.
    /// - Throws: `.notFound` when there is no such stream, `.configuration` for a name that is no token of a subject.
    package static func open(
        _ jetStream: JetStream, stream: String, name: String, filterSubject: String, isNew: Bool = false,
        acknowledgementTime: Duration = .seconds(30)
    ) async throws(NATSError) -> DurableConsumer {
        struct Request: Encodable {
            struct Configuration: Encodable {
                let durableName, deliverPolicy, filterSubject: String
                let ackPolicy = "explicit"
                let ackWait: Int64
            }
            let streamName: String
            let config: Configuration
        }
        guard !name.isEmpty, name.utf8.count <= 200, !name.contains(where: { ".*>/\\ \t\r\n".contains($0) }) else {
            throw NATSError(
                .configuration, "The durable name \"\(name)\" is empty, too long, or has a dot, space, slash, * or >.")
        }
        let found: ConsumerInfo?
        do throws(NATSError) {
            found = try await jetStream.consumerInfo(stream: stream, consumer: name)
        } catch let error where error.code == .notFound {
            found = nil
        }
        if let found, found.filterSubjects != [filterSubject] {
            throw NATSError(
                .nameTaken,
                "The durable \(name) of \(stream) reads \(found.filterSubjects.joined(separator: ", ")), not \(filterSubject); take another name."
            )
        }
        if found == nil {
            _ = try await jetStream.api(
                "CONSUMER.CREATE.\(stream).\(name).\(filterSubject)",
                JSON.encode(
                    Request(
                        streamName: stream,
                        config: .init(
                            durableName: name, deliverPolicy: isNew ? "new" : "all", filterSubject: filterSubject,
                            ackWait: acknowledgementTime.nanoseconds))))
        }
        return DurableConsumer(jetStream: jetStream, stream: stream, name: name)
    }

    /// - Returns: nil when nothing came for some seconds.
    /// - Throws: `.notFound` when the consumer is gone; temporary errors while the broker is away.
    package func next() async throws(NATSError) -> Delivery? {
        struct Request: Encodable {
            let batch = 1
            let expires: Int64
        }
        let subject = "$JS.API.CONSUMER.MSG.NEXT.\(stream).\(name)"
        let reply: NATSMessage
        do throws(NATSError) {
            reply = try await jetStream.connection.request(
                subject: subject, payload: JSON.encode(Request(expires: DurableConsumer.expires.nanoseconds)),
                timeout: DurableConsumer.expires + jetStream.timeout, messageOf: "\(stream).\(name)")
        } catch let error where error.code == .noResponders {
            // Who is asked for a message of a consumer that is gone is nobody.
            _ = try await jetStream.consumerInfo(stream: stream, consumer: name)
            throw error
        }
        if let status = reply.status {
            switch status {
            case 404, 408: return nil
            default:
                let reason = reply.headers["Description"] ?? "status \(status)"
                _ = try await jetStream.consumerInfo(stream: stream, consumer: name)
                throw NATSError(.unavailable, "The durable \(name) of \(stream) gave no message: \(reason); try again.")
            }
        }
        guard let acknowledgement = reply.reply, let place = AckSubject(acknowledgement) else {
            throw NATSError(.protocolViolation, "A message of the durable \(name) of \(stream) has no place in it.")
        }
        return Delivery(
            message: JetStreamMessage(
                subject: reply.subject, headers: reply.headers, payload: reply.payload, sequence: place.streamSequence,
                consumerSequence: place.consumerSequence, timestampNanos: place.timestamp, pending: place.pending,
                size: reply.payload.count),
            reply: acknowledgement)
    }

    /// Says that the message is done with; a word that is lost has it delivered again.
    package func acknowledge(_ delivery: Delivery) async throws(NATSError) {
        try await DurableConsumer.acknowledge(delivery, over: jetStream)
    }

    package static func acknowledge(_ delivery: Delivery, over jetStream: JetStream) async throws(NATSError) {
        try await jetStream.connection.publish(subject: delivery.reply, payload: Array("+ACK".utf8))
    }
}
