public import ATOF
internal import BusReading
internal import Synchronization

/// Events of one tenant that were processed together, in the order in which their runs go.
public struct ProcessedEvents: Sendable {
    /// One event.
    public struct Event: Sendable, Hashable {
        /// The run that it belongs to: the UUID of the run's root.
        public let run: EventUUID?
        /// Of the scope or mark.
        public let uuid: EventUUID
        /// Of the scope or mark.
        public let name: String
        /// `agent`, `tool`, `llm`, …; nil on a mark without one.
        public let category: String?
        /// The event as one ATOF 0.1 JSON object, as UTF-8.
        public let json: [UInt8]
    }

    /// Whose they are.
    public let tenant: String
    /// In the order of the message.
    public let events: [Event]
    /// What could not be read, for instance because a newer collector wrote it; nil when all could. Collectors make no such messages.
    public let complaint: String?

    /// - Parameter isWanted: asked for each event, in order.
    init(tenant: String, body: [UInt8], where isWanted: (ATOF.Event) -> Bool) {
        self.tenant = tenant
        var (events, complaint) = ([Event](), String?.none)
        do throws(EventError) {
            let batch = try EventBatch(unpacking: body)
            for index in 0..<batch.count {
                let event = try batch.event(at: index)
                guard isWanted(event) else { continue }
                events.append(
                    Event(
                        run: event.rootUUID, uuid: event.uuid, name: event.name, category: event.category?.raw,
                        json: EventJSONEncoder.line(event)))
            }
        } catch {
            complaint = error.description
        }
        self.events = events
        self.complaint = complaint
    }
}

/// What the one task that iterates remembers: the runs of its agent.
final class ProcessedReading: Sendable {
    private let runs: Mutex<AgentRuns?>

    init(agent: String?) { runs = Mutex(agent.map { AgentRuns(agent: $0) }) }

    func events(tenant: String, body: [UInt8]) -> ProcessedEvents {
        runs.withLock { runs in
            ProcessedEvents(tenant: tenant, body: body) { event in runs?.receive(event, tenant: tenant) ?? true }
        }
    }
}
