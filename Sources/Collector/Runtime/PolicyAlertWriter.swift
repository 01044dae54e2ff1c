internal import ATOF
package import Logging
package import NATSTransport
package import Stages
internal import Synchronization

/// Publishes alerts of rules to `SKEIN_ALERTS`, and counts them. A collector has one, which tells of an outage once.
package final class PolicyAlertWriter: Sendable {
    private struct State: Sendable {
        var outage = StorageOutage()
        /// Whether somebody creates the stream now.
        var isCreating = false
    }

    private let jetStream: JetStream
    private let metrics: Metrics
    private let logger: Logger
    private let stream: StreamConfiguration?
    private let state = Mutex(State())

    /// - Parameter stream: how `SKEIN_ALERTS` is created again when somebody has deleted it; nil leaves that to others.
    package init(_ jetStream: JetStream, _ metrics: Metrics, _ logger: Logger, stream: StreamConfiguration? = nil) {
        self.jetStream = jetStream
        self.metrics = metrics
        self.logger = logger
        self.stream = stream
    }

    /// Returns once the broker has the alert; repeats while it cannot take it, because what is not stored here nobody hears of.
    ///
    /// - Throws: what no repetition mends; `CancellationError`.
    package func write(_ alert: PolicyAlert) async throws {
        let payload = Array(alert.json.compactText.utf8)
        var pause = Duration.milliseconds(50)
        while true {
            let ticket = state.withLock(\.outage.ticket)
            guard let error = await failure(alert, payload) else {
                stored(ticket)
                break
            }
            guard error.isTemporary else { throw error }
            await failed(error, ticket)
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(2))
        }
        metrics.add("skein_alerts_total", 1, ["rule": alert.rule])
    }

    private func failure(_ alert: PolicyAlert, _ payload: [UInt8]) async -> NATSError? {
        do throws(NATSError) {
            _ = try await jetStream.publish(
                subject: alert.subject,
                headers: [SkeinHeaders.messageID: alert.id, SkeinHeaders.contentType: SkeinHeaders.json],
                payload: payload)
            return nil
        } catch {
            return error
        }
    }

    private func stored(_ ticket: StorageOutage.Ticket) {
        let isOver = state.withLock { state in
            guard state.outage.stored(ticket) else { return false }
            metrics.set("skein_alerts_blocked", 0)
            return true
        }
        if isOver { logger.notice("alerts are stored again") }
    }

    private func failed(_ error: NATSError, _ ticket: StorageOutage.Ticket) async {
        metrics.add("skein_alert_failures_total")
        let isNew = state.withLock { state in
            guard state.outage.failed(ticket) else { return false }
            metrics.set("skein_alerts_blocked", 1)
            return true
        }
        if isNew {
            logger.error(
                "alerts cannot be stored, and what comes behind them waits",
                metadata: [
                    "stream": "\(SkeinSubjects.alertsStream)", "error": "\(error)",
                    "remedy": "see that the broker runs JetStream and has room; a stream that is gone is created again",
                ])
        }
        if error.code == .noResponders { await createAgain() }
    }

    /// A cluster without a leader says the same as one without the stream: creating what is there changes nothing.
    private func createAgain() async {
        guard let stream else { return }
        let isFirst = state.withLock { state in
            defer { state.isCreating = true }
            return !state.isCreating
        }
        guard isFirst else { return }
        defer { state.withLock { $0.isCreating = false } }
        do throws(NATSError) {
            do throws(NATSError) {
                _ = try await jetStream.streamInfo(stream.name)
            } catch let error where error.code == .notFound {
                _ = try await jetStream.createStream(stream)
                logger.warning("created again what somebody has deleted", metadata: ["stream": "\(stream.name)"])
            }
        } catch {
            // Somebody else was faster, or the broker is away: the next attempt shows it.
            logger.debug("the stream of alerts is not there yet", metadata: ["error": "\(error)"])
        }
    }
}
