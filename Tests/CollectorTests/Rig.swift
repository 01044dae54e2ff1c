import Foundation
import NATSTestCluster
import NATSTransport
import Stages

/// A nats-server of a test's own with a connection to it, and a folder for the test's files.
struct Rig {
    let server: NATSServerProcess
    let jetStream: JetStream
    let directory: String

    /// Runs the body against a server, and ends the server after it.
    static func with<Result>(
        configuration: String = "", maxPayload: Int? = nil, _ body: (Rig) async throws -> Result
    ) async throws -> Result {
        try await NATSTestServer.with(configuration: configuration, maxPayload: maxPayload) { server in
            try await connected(to: [server.process], server.directory, body)
        }
    }

    /// Runs the body with a connection that knows all the servers; the first is the rig's own.
    static func connected<Result>(
        to servers: [NATSServerProcess], _ directory: String, _ body: (Rig) async throws -> Result
    ) async throws -> Result {
        let connection = try await NATSConnection.connect(
            NATSOptions(urls: servers.map(\.url), name: "test", reconnectWait: .milliseconds(50)))
        do {
            let result = try await body(Rig(server: servers[0], jetStream: JetStream(connection), directory: directory))
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Writes a file of the test and returns its path.
    func file(_ name: String, _ text: String) throws -> String {
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    // MARK: Streams

    /// Everything that a stream holds now, in order.
    func contents(of stream: String, matching filter: String? = nil) async throws -> [JetStreamMessage] {
        let last: UInt64
        if let filter {
            last = try await jetStream.lastMessage(stream: stream, subject: filter, fromLeader: true)?.sequence ?? 0
        } else {
            last = try await jetStream.streamInfo(stream).lastSequence
        }
        guard last > 0, try await jetStream.streamInfo(stream).messages > 0 else { return [] }
        let reading = PullConsumerConfiguration(
            stream: stream, namePrefix: "test-\(UUID().uuidString)", filterSubjects: filter.map { [$0] } ?? [],
            startSequence: 1)
        let consumer = try PullConsumer(jetStream, reading, budget: PrefetchBudget(total: 64 << 20)) { true }
        var found: [JetStreamMessage] = []
        while (found.last?.sequence ?? 0) < last { found += try await consumer.next(max: 256) }
        await consumer.stop()
        return found.filter { $0.sequence <= last }
    }

    /// Publishes until the broker has it, whatever happens to the broker meanwhile; the id makes repetitions harmless.
    func publish(_ messages: some Sequence<OutgoingMessage>) async throws {
        for message in messages {
            try await eventually("the broker takes \(message.id)") {
                do {
                    _ = try await jetStream.publish(
                        subject: message.subject,
                        headers: [SkeinHeaders.messageID: message.id, SkeinHeaders.contentType: message.contentType],
                        payload: message.payload)
                    return true
                } catch let error as NATSError where error.isTemporary {
                    return false
                }
            }
        }
    }
}

/// What a producer sends.
struct OutgoingMessage: Sendable {
    var id = UUID().uuidString
    let subject: String
    var contentType = SkeinHeaders.protobuf
    let payload: [UInt8]
}

struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Asks again and again until the condition holds.
///
/// - Throws: what the condition throws, and after so many seconds a `Failure`.
func eventually(_ what: String, seconds: Int = 60, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !(try await condition()) {
        guard ContinuousClock.now < deadline else { throw Failure("not within \(seconds) seconds: \(what)") }
        // Not a wait for something to happen, only a pause between two questions.
        await withCheckedContinuation { continuation in
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(10)) { continuation.resume() }
        }
    }
}
