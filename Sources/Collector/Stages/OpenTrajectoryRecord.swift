package import ATOF
internal import Trajectories

/// What is told of a trajectory while it is open, on `skein.v1.trajectories.<tenant>.<id>.open`.
package struct OpenTrajectoryRecord: Sendable, Hashable {
    package let id: String
    package let tenant: String
    package let agent: String
    package let events: Int
    package let openedAt: EventTime
    package let lastEventAt: EventTime

    init(_ progress: TrajectoryAssembler.Progress) {
        id = progress.id.description
        tenant = progress.tenant
        agent = progress.agentName
        events = progress.eventCount
        openedAt = EventTime(epochNanoseconds: progress.openedAt)
        lastEventAt = EventTime(epochNanoseconds: progress.lastEventAt)
    }

    /// - Returns: nil when the document is something else.
    package init?(_ json: JSONValue) {
        guard let id = json["id"]?.stringValue, let tenant = json["tenant"]?.stringValue,
            let openedAt = json["opened_at"]?.stringValue.flatMap({ EventTime(rfc3339: $0) }),
            let lastEventAt = json["last_event_at"]?.stringValue.flatMap({ EventTime(rfc3339: $0) })
        else { return nil }
        self.id = id
        self.tenant = tenant
        agent = json["agent"]?.stringValue ?? ""
        events = Int(clamping: json["events"]?.int64Value ?? 0)
        self.openedAt = openedAt
        self.lastEventAt = lastEventAt
    }

    package var json: JSONValue {
        [
            "id": .string(id), "tenant": .string(tenant), "agent": .string(agent), "state": "open",
            "events": .int(Int64(events)), "opened_at": .string(openedAt.rfc3339),
            "last_event_at": .string(lastEventAt.rfc3339), "revision": 1,
        ]
    }
}
