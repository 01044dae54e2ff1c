import AgentKit

/// Prints the size of every event, in the place of a broker.
struct PrintedEvents: EventOutput {
    func append(_ event: [UInt8], key: EventUUID) { print("\(key): \(event.count) bytes") }
}

PrintedEvents().append([], key: EventUUID(high: 1, low: 2))
