/// What arrives, for as long as it is iterated. One task iterates it, once.
///
/// It outlives the broker's absences: what is stored meanwhile follows. It ends with an error only for good, and when its task is
/// cancelled it ends without one.
public struct Subscription<Value: Sendable>: AsyncSequence, Sendable {
    /// Something that has arrived.
    public typealias Element = Delivery<Value>

    let source: SubscriptionSource<Value>

    /// Waits for the next message.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let source: SubscriptionSource<Value>

        /// - Throws: `SubscriberError`.
        public mutating func next() async throws -> Delivery<Value>? {
            do {
                return try await source.next()
            } catch is CancellationError {
                return nil
            }
        }
    }

    /// Where the one task that iterates begins.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source: source) }
}

/// Something that has arrived, and the way to say that it is done with.
public struct Delivery<Value: Sendable>: Sendable {
    /// What has arrived.
    public let value: Value
    let acknowledgement: @Sendable () async throws -> Void

    /// Says that it is done with: a durable subscription delivers again, after a while, what was not acknowledged. Without a durable name it
    /// does nothing.
    ///
    /// - Throws: `SubscriberError` when there is no connection; then it is delivered again.
    public func acknowledge() async throws { try await acknowledgement() }
}
