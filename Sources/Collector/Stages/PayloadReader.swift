internal import ATOF
internal import NATSTransport
internal import Stages

/// Events of PROCESSED, read again for spans whose payloads are not held.
struct PayloadReader: Sendable {
    private var events: [EventReference: [UInt8]] = [:]

    /// Reads the events. What is gone is left out: a stream that was trimmed or purged must not stop a task.
    mutating func fetch(_ references: [EventReference], from jetStream: JetStream) async throws {
        let missing = references.filter { events[$0] == nil }
        guard !missing.isEmpty else { return }
        events.merge(try await EventArchive.packedEvents(at: missing, from: jetStream)) { $1 }
    }

    /// The packed event; nil when it was not fetched or is gone.
    func packedEvent(at reference: EventReference) -> [UInt8]? { events[reference] }
}
