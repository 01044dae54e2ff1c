internal import ATOF
internal import AgentPublishing
internal import Foundation
package import NATSTransport
internal import Stages
internal import Synchronization

/// Publishes recorded events: groups them by run, batches them, and waits for every ack.
///
/// Of a key one message is under way at a time, of many keys many: whatever happens to the broker, the order within a key holds.
package final class EventPublisher {
    package struct Summary: Sendable {
        package var events = 0
        package var messages = 0
        package var refused = 0
    }

    private struct Pending {
        var writer = EventBatchWriter()
    }

    private let lanes: PublishLanes
    private let tenant: String
    private let batch: Int
    /// Of this run of the program; with the sequence it makes publishing idempotent.
    private let producer = UUID().uuidString.lowercased()
    private var sequences: [String: UInt64] = [:]
    private var scopes = ScopeTable()
    private var pending: [String: Pending] = [:]
    private var pendingEvents = 0
    private var summary = Summary()
    /// Of a message.
    private let messageLimit: Int
    private let batchLimit: Int
    private let maximumEventBytes: Int

    /// Events that wait in incomplete batches before all of them are sent.
    private static let pendingLimit = 8192

    /// - Parameters:
    ///   - batch: events in a message, at most.
    ///   - maximumEventBytes: larger events are refused; those that are larger than a message go in chunks.
    ///   - patience: how long the broker may be away.
    package init(
        _ jetStream: JetStream, tenant: String, batch: Int, maximumEventBytes: Int = 64 << 20,
        patience: Duration = .seconds(30)
    ) {
        self.tenant = tenant
        self.batch = batch
        self.maximumEventBytes = maximumEventBytes
        lanes = PublishLanes(jetStream, patience: patience)
        messageLimit = max(1024, jetStream.connection.maxPayload - 2048)
        batchLimit = min(messageLimit, 512 << 10)
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
        guard packed.count <= maximumEventBytes else {
            summary.refused += 1
            return
                "the event takes \(packed.count) bytes, the most is \(maximumEventBytes); raise --max-event-bytes, and max_event_bytes of the collectors"
        }
        if let waiting = pending[key]?.writer,
            waiting.count >= batch || waiting.bytes.count + packed.count > batchLimit
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
        try await lanes.finish()
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
        let envelope = EventEnvelope(
            tenant: tenant, key: key, producer: producer, sequence: sequence, bytes: writer.bytes)
        let count = envelope.messageCount(limit: messageLimit)
        let messages = (0..<count).map { LaneMessage(envelope.message($0, limit: messageLimit)) }
        summary.messages += count
        try await lanes.send(messages, key: key)
    }
}
