package import Logging
internal import Synchronization

/// Keeps the log readable while nothing works: as long as the broker is away what every task has to complain of is counted, and told
/// in one line now and then; while it is there, each kind of complaint is a line in ten seconds at the most.
package final class OutageLog: Sendable {
    private struct State {
        var awaySince: ContinuousClock.Instant?
        var counts: [String: Int] = [:]
    }

    private static let interval = Duration.seconds(10)
    private let throttle = LogThrottle(interval: OutageLog.interval)
    private let isConnected: @Sendable () -> Bool
    private let state = Mutex(State())

    package init(isConnected: @escaping @Sendable () -> Bool = { true }) { self.isConnected = isConnected }

    /// - Parameters:
    ///   - what: what failed, as the summary is to call it: of a closed vocabulary.
    ///   - key: whose it is, of a closed vocabulary too: complaints of other keys are told apart.
    /// - Returns: how many of the kind were kept back since the last line, when this one is to be logged; else nil.
    package func admit(_ what: String, of key: String = "", now: ContinuousClock.Instant = .now) -> Int? {
        guard isConnected() else {
            state.withLock { $0.counts[what, default: 0] += 1 }
            return nil
        }
        return throttle.admit("\(what)/\(key)", now: now)
    }

    /// The broker went away.
    package func lost(now: ContinuousClock.Instant = .now) {
        state.withLock { if $0.awaySince == nil { $0.awaySince = now } }
    }

    /// The broker is back.
    ///
    /// - Returns: how long it was away, and what failed meanwhile, since the last summary; nil when it was not away.
    package func restored(now: ContinuousClock.Instant = .now) -> Logger.Metadata? {
        state.withLock { state in
            defer { state.awaySince = nil }
            return OutageLog.takeSummary(&state, now)
        }
    }

    /// - Returns: the same while it is still away; nil when it is not.
    package func summary(now: ContinuousClock.Instant = .now) -> Logger.Metadata? {
        state.withLock { OutageLog.takeSummary(&$0, now) }
    }

    private static func takeSummary(_ state: inout State, _ now: ContinuousClock.Instant) -> Logger.Metadata? {
        guard let since = state.awaySince else { return nil }
        defer { state.counts = [:] }
        let failed = state.counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return [
            "away_seconds": "\(Int((now - since) / .seconds(1)))",
            "failed": "\(failed.isEmpty ? "nothing" : failed.joined(separator: ", "))",
        ]
    }

    /// Tells every ten seconds that the broker is still away.
    func run(_ logger: Logger) async throws {
        while true {
            try await Task.sleep(for: OutageLog.interval)
            if let summary = summary() { logger.warning("the broker is still away", metadata: summary) }
        }
    }
}
