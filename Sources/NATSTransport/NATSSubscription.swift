internal import Synchronization

/// The messages of a plain subscription, for one reader. It unsubscribes when the reader stops.
package struct NATSSubscription: AsyncSequence, Sendable {
    private let buffer: SubscriptionBuffer

    init(buffer: SubscriptionBuffer) {
        self.buffer = buffer
    }

    /// How many messages were dropped because the reader was too slow.
    package var dropped: Int { buffer.dropped.load(ordering: .relaxed) }

    /// Ends the sequence and unsubscribes.
    package func cancel() { buffer.finish() }

    package func makeAsyncIterator() -> AsyncStream<NATSMessage>.Iterator {
        buffer.stream.makeAsyncIterator()
    }
}

/// A bounded queue between cnats' delivery thread and the reader: keeps the oldest, counts what it drops.
final class SubscriptionBuffer: Sendable {
    let stream: AsyncStream<NATSMessage>
    let dropped = Atomic(0)
    private let sink: AsyncStream<NATSMessage>.Continuation

    init(capacity: Int) {
        (stream, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(capacity))
    }

    func append(_ message: NATSMessage) {
        if case .dropped = sink.yield(message) { dropped.add(1, ordering: .relaxed) }
    }

    func onEnd(_ action: @escaping @Sendable () -> Void) {
        sink.onTermination = { _ in action() }
    }

    func finish() { sink.finish() }
}
