internal import ATOF
internal import Foundation
package import NATSTransport
internal import Stages
internal import Synchronization

/// Publishes recorded events: groups them by run, batches them, and waits for every ack.
package final class EventPublisher {
    package struct Summary: Sendable {
        package var events = 0
        package var messages = 0
        package var refused = 0
    }

    private struct Pending {
        var writer = EventBatchWriter()
    }

    private let jetStream: JetStream
    private let publisher: Publisher
    private let tenant: String
    private let batch: Int
    /// Of this run of the program; with the sequence it makes publishing idempotent.
    private let producer = UUID().uuidString.lowercased()
    private var sequences: [String: UInt64] = [:]
    private var scopes = ScopeTable()
    private var pending: [String: Pending] = [:]
    private var pendingEvents = 0
    private var summary = Summary()
    private let failures = Failures()
    private let maximumBytes: Int

    /// Events that wait in incomplete batches before all of them are sent.
    private static let pendingLimit = 8192

    package init(_ jetStream: JetStream, tenant: String, batch: Int) {
        self.jetStream = jetStream
        self.tenant = tenant
        self.batch = batch
        publisher = Publisher(jetStream)
        maximumBytes = min(jetStream.connection.maxPayload - 1024, 512 << 10)
    }

    package static func isTenant(_ text: String) -> Bool { SkeinSubjects.isTenant(text) }

    /// - Returns: why the line is no event; nil when it was taken.
    package func add(line: [UInt8]) async throws -> String? {
        let packed: [UInt8]
        let key: String
        do throws(EventError) {
            packed = try EventJSONDecoder.decode(line).packed()
            key = try routingKey(packed)
        } catch {
            summary.refused += 1
            return error.description
        }
        let limit = jetStream.connection.maxPayload - 1024
        guard packed.count <= limit else {
            summary.refused += 1
            return
                "the event takes \(packed.count) bytes and the server accepts \(limit); raise max_payload of nats-server"
        }
        if let waiting = pending[key]?.writer,
            waiting.count >= batch || waiting.bytes.count + packed.count > maximumBytes
        {
            try await send(key)
        }
        pending[key, default: Pending()].writer.append(packed: packed)
        pendingEvents += 1
        if pendingEvents >= EventPublisher.pendingLimit { try await sendAll() }
        return nil
    }

    /// Sends what waits and returns when the broker has acknowledged everything.
    package func finish() async throws -> Summary {
        try await sendAll()
        await publisher.drain()
        try await resendFailures()
        return summary
    }

    /// Events of a run share a key, so that they stay in order: its root.
    private func routingKey(_ packed: [UInt8]) throws(EventError) -> String {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        switch scopes.observe(event, tenant: tenant) {
        case .new(let root): return root.description
        // A repetition is published too: what becomes of it is the collector's decision, and counted there.
        case .duplicate: return (scopes.root(of: event.uuid, tenant: tenant) ?? event.uuid).description
        }
    }

    private func sendAll() async throws {
        for key in pending.keys.sorted() { try await send(key) }
    }

    private func send(_ key: String) async throws {
        guard var writer = pending.removeValue(forKey: key)?.writer else { return }
        pendingEvents -= writer.count
        let producer = "\(producer)/\(key)"
        let sequence = sequences[key, default: 1]
        sequences[key] = sequence + UInt64(writer.count)
        writer.setProducer(producer, sequence: sequence)
        summary.events += writer.count
        summary.messages += 1
        let message = Failures.Message(
            number: summary.messages, subject: SkeinSubjects.events(tenant: tenant, key: key),
            headers: [
                SkeinHeaders.messageID: "\(tenant)/\(producer)/\(sequence)",
                SkeinHeaders.contentType: SkeinHeaders.protobuf,
            ],
            payload: writer.bytes)
        let failures = failures
        try await publisher.publish(subject: message.subject, headers: message.headers, payload: message.payload) {
            result in
            if case .failure(let error) = result { failures.add(message, error) }
        }
        if !failures.isEmpty {
            await publisher.drain()
            try await resendFailures()
        }
    }

    /// Publishes again what was not acknowledged, in order and one at a time; the message id makes that harmless.
    private func resendFailures() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        for (message, first) in failures.takeAll() {
            var error = first
            while true {
                guard error.isTemporary, ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(200))
                do throws(NATSError) {
                    _ = try await jetStream.publish(
                        subject: message.subject, headers: message.headers, payload: message.payload)
                    break
                } catch let again {
                    error = again
                }
            }
        }
    }

    /// Messages without an ack, told by the transport's threads.
    private final class Failures: Sendable {
        struct Message: Sendable {
            let number: Int
            let subject: String
            let headers: NATSHeaders
            let payload: [UInt8]
        }

        private let messages = Mutex<[(Message, NATSError)]>([])

        var isEmpty: Bool { messages.withLock { $0.isEmpty } }

        func add(_ message: Message, _ error: NATSError) { messages.withLock { $0.append((message, error)) } }

        func takeAll() -> [(Message, NATSError)] {
            messages.withLock { list in
                defer { list = [] }
                return list.sorted { $0.0.number < $1.0.number }
            }
        }
    }
}
