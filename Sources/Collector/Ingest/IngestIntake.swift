internal import ATOF
internal import Ingest
internal import Synchronization

/// Takes the lines of one request or WebSocket: hands the events on, and knows what is still under way.
final class IngestIntake: Sendable {
    /// What the lines come in.
    enum Source: String {
        case post
        case stream
        case webSocket = "websocket"
    }

    private struct State {
        var report = IngestReport()
        var bytesUnderWay = 0
        var failure: String?
        /// Somebody will call what waits: it waits for one thing at a time, however much was read meanwhile.
        var isWaiting = false
        /// What has to be told when there is less under way, or nothing.
        var whenLess: (@Sendable () -> Void)?
        var whenDone: (@Sendable () -> Void)?
        var entriesUnderWay = 0
        /// Of an unfinished line.
        var heldBytes = 0
        /// A line was completed since it was last said what is held.
        var hasFinished = false
        var isClosed = false
    }

    let sender: IngestAccess.Sender
    private let payer: IngestLimits.Payer
    private let source: Source
    private let service: IngestService
    /// Nil waits for the broker as long as it takes.
    private let patience: Duration?
    private let holder: UInt64
    private let state = Mutex(State())

    /// Beyond it nothing more is read until half of it is stored.
    private static let limit = 1 << 20

    /// - Parameter payer: whose rates it counts against.
    init(
        _ sender: IngestAccess.Sender, _ payer: IngestLimits.Payer, _ source: Source, _ service: IngestService,
        patience: Duration?
    ) {
        self.sender = sender
        self.payer = payer
        self.source = source
        self.service = service
        self.patience = patience
        holder = service.memory.newHolder()
    }

    var report: IngestReport { state.withLock { $0.report } }
    /// Why something is not stored.
    var failure: String? { state.withLock { $0.failure } }

    func take(_ lines: [ReadLine]) {
        if lines.isEmpty { return }
        var items: [IngestBatch.Item] = []
        var counts = (events: 0, probes: 0, invalid: 0, tooLong: 0, flooded: 0, restored: 0)
        for line in lines {
            switch line {
            case .tooLong(let bytes):
                counts.tooLong += 1
                state.withLock { state in
                    state.report.lineCame()
                    state.report.tooLongLineCame(bytes: bytes, most: service.maximumLineBytes)
                }
            case .read(_, .blank): state.withLock { $0.report.lineCame() }
            case .read(_, .probe):
                counts.probes += 1
                state.withLock { state in
                    state.report.lineCame()
                    state.report.probeCame()
                }
            case .read(let bytes, .event(let fields, let hasRestoredKeys)):
                counts.events += 1
                if hasRestoredKeys { counts.restored += 1 }
                state.withLock { state in
                    state.report.lineCame()
                    state.report.eventCame()
                }
                items.append(.event(fields.packed()))
                service.streams.take(bytes, fields, tenant: sender.tenant)
            case .read(let bytes, .invalid(let error)):
                let isKept = service.limits.useInvalid(payer, bytes: bytes.count)
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
        service.count(
            events: counts.events, probes: counts.probes, invalid: counts.invalid, tooLong: counts.tooLong,
            flooded: counts.flooded, restored: counts.restored)
        service.limits.use(events: lines.count, bytes: 0, payer)
        state.withLock { $0.hasFinished = true }
        if !items.isEmpty { submit(items) }
    }

    /// So many bytes came, whose lines were taken before.
    ///
    /// - Parameter heldBytes: of the line that is not complete.
    func came(_ bytes: Int, heldBytes: Int) {
        service.metrics.add("skein_ingest_received_bytes_total", bytes)
        service.limits.use(events: 0, bytes: bytes, payer)
        let (change, hasFinished) = state.withLock { state in
            if state.isClosed { return (0, false) }
            defer { (state.heldBytes, state.hasFinished) = (heldBytes, false) }
            return (heldBytes - state.heldBytes, state.hasFinished || heldBytes == 0)
        }
        service.memory.add(change, of: sender.tenant, isSending: false)
        // Also when the next one has begun: it is somebody else's turn.
        if hasFinished { service.memory.finished(holder) }
    }

    /// Nothing more comes.
    func close() {
        let held = state.withLock { state in
            state.isClosed = true
            defer { state.heldBytes = 0 }
            return state.heldBytes
        }
        service.memory.add(-held, of: sender.tenant, isSending: false)
        service.memory.left(holder)
    }

    private func submit(_ items: [IngestBatch.Item]) {
        let deadline = patience.map { ContinuousClock.now + $0 }
        let size = items.reduce(0) { $0 + $1.bytes.count }
        state.withLock { state in
            state.entriesUnderWay += 1
            state.bytesUnderWay += size
        }
        let entry = IngestEntry(items, size: size, deadline: deadline) { self.ended(size, $0) }
        service.publisher.submit(entry, of: sender)
    }

    private func ended(_ size: Int, _ failure: IngestEntry.Failure?) {
        let (calls, isFirstFailure) = state.withLock { state in
            state.entriesUnderWay -= 1
            state.bytesUnderWay -= size
            let isFirstFailure = failure != nil && state.failure == nil
            if let failure { state.failure = state.failure ?? failure.reason }
            var calls: [@Sendable () -> Void] = []
            if state.bytesUnderWay <= IngestIntake.limit / 2, let call = state.whenLess {
                state.whenLess = nil
                calls.append(call)
            }
            if state.entriesUnderWay == 0, let call = state.whenDone {
                state.whenDone = nil
                calls.append(call)
            }
            return (calls, isFirstFailure)
        }
        if let failure { service.lost(failure.count, source, sender, failure.reason, isFirst: isFirstFailure) }
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

    /// Whether the producer has to wait before more is read; `resume` is called then when it need not any longer. For one thing at a time:
    /// what waits already goes on waiting. From one thread at a time.
    func mustWait(_ resume: @escaping @Sendable () -> Void) -> Bool {
        let goOn: @Sendable () -> Void = { [self] in
            state.withLock { $0.isWaiting = false }
            resume()
        }
        let (mustWait, isUnfinished) = state.withLock { state in
            if state.isWaiting { return (true, false) }
            state.isWaiting = true
            guard state.bytesUnderWay > IngestIntake.limit else { return (false, state.heldBytes > 0) }
            state.whenLess = goOn
            return (true, false)
        }
        if mustWait { return true }
        if let wait = service.limits.wait(payer) {
            service.metrics.add("skein_ingest_slowed_total")
            Task {
                // Cancellation only makes it earlier.
                try? await Task.sleep(for: wait)
                goOn()
            }
            return true
        }
        if !service.memory.mayGoOn(holder, of: sender.tenant, isUnfinished: isUnfinished, call: goOn) { return true }
        state.withLock { $0.isWaiting = false }
        return false
    }
}
