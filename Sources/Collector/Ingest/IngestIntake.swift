internal import ATOF
internal import Ingest
internal import Synchronization

/// Takes the lines of one request or WebSocket: reads each, hands the events on, and knows what is still under way.
final class IngestIntake: Sendable {
    private struct State {
        var report = IngestReport()
        var bytesUnderWay = 0
        var failure: String?
        /// What has to be told when there is less under way, or nothing.
        var whenLess: (@Sendable () -> Void)?
        var whenDone: (@Sendable () -> Void)?
        var entriesUnderWay = 0
    }

    let sender: IngestAccess.Sender
    private let service: IngestService
    /// Nil waits for the broker as long as it takes.
    private let patience: Duration?
    private let state = Mutex(State())

    /// Beyond it nothing more is read until half of it is stored.
    private static let limit = 1 << 20

    init(_ sender: IngestAccess.Sender, _ service: IngestService, patience: Duration?) {
        self.sender = sender
        self.service = service
        self.patience = patience
    }

    var report: IngestReport { state.withLock { $0.report } }
    /// Why something is not stored.
    var failure: String? { state.withLock { $0.failure } }
    var isIdle: Bool { state.withLock { $0.entriesUnderWay == 0 } }

    func take(_ lines: [LineSplitter.Line]) {
        if lines.isEmpty { return }
        var items: [IngestEntry.Item] = []
        var counts = (events: 0, probes: 0, invalid: 0, tooLong: 0, flooded: 0, restored: 0, bytes: 0)
        for line in lines {
            switch line {
            case .tooLong(let bytes):
                counts.tooLong += 1
                counts.bytes += bytes
                state.withLock { state in
                    state.report.lineCame()
                    state.report.tooLongLineCame(bytes: bytes, most: service.maximumLineBytes)
                }
            case .line(let bytes):
                counts.bytes += bytes.count
                switch IngestLine(bytes) {
                case .blank: state.withLock { $0.report.lineCame() }
                case .probe:
                    counts.probes += 1
                    state.withLock { state in
                        state.report.lineCame()
                        state.report.probeCame()
                    }
                case .event(let packed, let hasRestoredKeys):
                    counts.events += 1
                    if hasRestoredKeys { counts.restored += 1 }
                    state.withLock { state in
                        state.report.lineCame()
                        state.report.eventCame()
                    }
                    items.append(.event(packed))
                    service.streams.take(bytes, sender)
                case .invalid(let error):
                    let isKept = service.limits.useInvalid(sender, bytes: bytes.count)
                    if isKept {
                        counts.invalid += 1
                        // `process` reads lines: a document that has several becomes one.
                        items.append(.line(bytes.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }))
                    } else {
                        counts.flooded += 1
                    }
                    state.withLock { state in
                        state.report.lineCame()
                        state.report.invalidLineCame(error.description, isKept: isKept)
                    }
                }
            }
        }
        service.count(
            events: counts.events, probes: counts.probes, invalid: counts.invalid, tooLong: counts.tooLong,
            flooded: counts.flooded, restored: counts.restored)
        service.limits.use(events: lines.count, bytes: counts.bytes, sender)
        if !items.isEmpty { submit(items) }
    }

    private func submit(_ items: [IngestEntry.Item]) {
        let deadline = patience.map { ContinuousClock.now + $0 }
        let size = items.reduce(0) { $0 + $1.bytes.count }
        state.withLock { state in
            state.entriesUnderWay += 1
            state.bytesUnderWay += size
        }
        service.publisher.submit(IngestEntry(items, deadline: deadline) { self.stored(size, $0) }, of: sender)
    }

    private func stored(_ size: Int, _ failure: String?) {
        let calls = state.withLock { state in
            state.entriesUnderWay -= 1
            state.bytesUnderWay -= size
            if let failure { state.failure = state.failure ?? failure }
            var calls: [@Sendable () -> Void] = []
            if state.bytesUnderWay <= IngestIntake.limit / 2, let call = state.whenLess {
                state.whenLess = nil
                calls.append(call)
            }
            if state.entriesUnderWay == 0, let call = state.whenDone {
                state.whenDone = nil
                calls.append(call)
            }
            return calls
        }
        for call in calls { call() }
    }

    /// Calls back when all that came is stored or has failed; at once when it is.
    func whenDone(_ call: @escaping @Sendable () -> Void) {
        let isNow = state.withLock { state in
            if state.entriesUnderWay == 0 { return true }
            state.whenDone = call
            return false
        }
        if isNow { call() }
    }

    /// Whether the producer has to wait before more is read; `resume` is called then when it need not any longer.
    func mustWait(_ resume: @escaping @Sendable () -> Void) -> Bool {
        let isFull = state.withLock { state in
            guard state.bytesUnderWay > IngestIntake.limit else { return false }
            state.whenLess = resume
            return true
        }
        if isFull { return true }
        if let wait = service.limits.wait(sender) {
            service.metrics.add("skein_ingest_slowed_total")
            Task {
                // Cancellation only makes it earlier.
                try? await Task.sleep(for: wait)
                resume()
            }
            return true
        }
        guard !service.publisher.hasRoom else { return false }
        service.publisher.whenRoom(resume)
        return true
    }
}
