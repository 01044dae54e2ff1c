public import ATOF

/// Where finished events go. Called on the agent's own path: returns at once, never throws, never blocks.
public protocol EventOutput: Sendable {
    /// - Parameters:
    ///   - event: one packed `skein.v1.Event`.
    ///   - key: the routing key, the run's root UUID, which keeps a run in order.
    func append(_ event: [UInt8], key: EventUUID)
}
