internal import ATOF
internal import NATSTransport
internal import Stages
internal import Synchronization

/// Alerts of a task on their way: many at once, each told before what it is about counts as finished.
///
/// Bounded: with too many under way the task reads nothing more.
final class AlertQueue: Sendable {
    private static let limit = 256

    private struct Item: Sendable {
        let alert: PolicyAlert
        let sequence: UInt64
    }

    private struct State: Sendable {
        /// How many are not stored, by the message that they are about.
        var open: [UInt64: Int] = [:]
        var count = 0
    }

    private let writer: PolicyAlertWriter
    private let state = Mutex(State())
    private let items = AsyncStream.makeStream(of: Item.self)
    private let freed = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(_ writer: PolicyAlertWriter) { self.writer = writer }

    /// The first message of which an alert is not stored yet.
    var firstUnconfirmed: UInt64? { state.withLock { $0.open.keys.min() } }

    /// Returns when they are on their way; one caller at a time.
    func tell(_ alerts: [PolicyAlert], of sequence: UInt64) async throws {
        if alerts.isEmpty { return }
        state.withLock { state in
            state.open[sequence, default: 0] += alerts.count
            state.count += alerts.count
        }
        for alert in alerts { items.continuation.yield(Item(alert: alert, sequence: sequence)) }
        var iterator = freed.stream.makeAsyncIterator()
        while state.withLock({ $0.count > AlertQueue.limit }) {
            guard await iterator.next() != nil else { throw CancellationError() }
        }
    }

    /// Publishes until it is cancelled, or an alert is refused for good.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for await item in items.stream {
                group.addTask {
                    do {
                        try await self.writer.write(item.alert)
                    } catch {
                        // It cancels the others, but not this loop, which would wait for further alerts.
                        self.items.continuation.finish()
                        throw error
                    }
                    self.stored(item)
                }
            }
        }
        try Task.checkCancellation()
    }

    private func stored(_ item: Item) {
        state.withLock { state in
            state.count -= 1
            let left = state.open[item.sequence, default: 1] - 1
            state.open[item.sequence] = left > 0 ? left : nil
        }
        freed.continuation.yield()
    }
}
