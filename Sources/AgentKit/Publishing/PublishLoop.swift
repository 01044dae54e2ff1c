internal import ATOF
internal import AgentPublishing
internal import Dispatch
internal import Foundation
internal import Logging
internal import NATSTransport
internal import Synchronization

/// Runs the publishing machine on a thread of its own: it waits for disks, and must not wait for the agent's tasks.
///
/// What happens elsewhere is posted to it; the machine and the spool are touched by the thread only.
final class PublishLoop: Sendable {
    enum Input: Sendable {
        case connected(JetStream)
        case disconnected
        case acknowledged(UInt64)
        case failed(UInt64, NATSError)
        case flush(deadline: UInt64, @Sendable (Bool) -> Void)
        /// To end when everything is sent or on disk, or at the deadline.
        case close(deadline: UInt64)

        func isLateFlush(_ now: UInt64) -> Bool {
            if case .flush(let deadline, _) = self { deadline <= now } else { false }
        }
    }

    private struct Mailbox {
        var inputs: [Input] = []
        /// The thread takes them.
        var hasStarted = false
        /// The thread takes no more of them.
        var isOver = false
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// What the thread has for itself.
    private struct Local {
        var machine: PublishMachine
        let spool: SpoolDirectory?
        var jetStream: JetStream?
        var flushes: [(epoch: UInt32, deadline: UInt64, answer: @Sendable (Bool) -> Void)] = []
        var closing: UInt64?
        /// When to look into the intake: then its oldest event has waited long enough.
        var takeAt: UInt64?
        /// Until then more events are expected.
        var busyUntil: UInt64 = 0
        var log: PublishLog
    }

    /// How long after an event the thread looks for more by itself, nanoseconds.
    private static let busy: UInt64 = 1_000_000_000

    private let configuration: PublisherConfiguration
    private let intake: EventIntake
    private let wake: DispatchSemaphore
    private let logger: Logger
    private let instance: String
    private let delay: UInt64
    private let mailbox = Mutex(Mailbox())
    private let latest = Mutex(PublisherStatistics())

    init(
        _ configuration: PublisherConfiguration, instance: String, intake: EventIntake, wake: DispatchSemaphore,
        logger: Logger
    ) {
        self.configuration = configuration
        self.instance = instance
        self.intake = intake
        self.wake = wake
        self.logger = logger
        delay = configuration.delay.wholeNanoseconds
    }

    var statistics: PublisherStatistics {
        var statistics = latest.withLock { $0 }
        // What came from disk and is on its way is not in the intake's books.
        statistics.memoryBytes += intake.bytes
        statistics.memoryEvents += intake.events
        statistics.peakMemoryBytes += intake.peakBytes
        // Not taken over yet, and after the end never.
        for (reason, count) in intake.turnedAway {
            statistics.appended += count
            statistics.dropped[PublisherStatistics.Reason(reason), default: 0] += count
        }
        return statistics
    }

    /// - Returns: false when the thread has ended: nobody will look at it.
    @discardableResult
    func post(_ input: Input) -> Bool {
        let (isOver, wakes) = mailbox.withLock { mailbox in
            if !mailbox.isOver { mailbox.inputs.append(input) }
            return (mailbox.isOver, mailbox.inputs.count == 1)
        }
        if wakes { wake.signal() }
        return !isOver
    }

    /// - Parameter answer: called exactly once.
    func flush(deadline: UInt64, answer: @escaping @Sendable (Bool) -> Void) {
        guard post(.flush(deadline: deadline, answer)) else { return answer(false) }
        if mailbox.withLock({ $0.hasStarted }) { return }
        // Nobody looks at it before `run`, and that may never come.
        DispatchQueue.global().asyncAfter(deadline: DispatchTime(uptimeNanoseconds: deadline)) { self.expireFlushes() }
    }

    private func expireFlushes() {
        let now = uptime()
        let late = mailbox.withLock { mailbox in
            guard !mailbox.hasStarted else { return [Input]() }
            let late = mailbox.inputs.filter { $0.isLateFlush(now) }
            mailbox.inputs.removeAll { $0.isLateFlush(now) }
            return late
        }
        for case .flush(_, let answer) in late { answer(false) }
    }

    func start() {
        mailbox.withLock { $0.hasStarted = true }
        let thread = Thread { self.run() }
        thread.name = "skein-publisher"
        thread.start()
    }

    /// Returns when the thread has ended, also in a task that is cancelled: what is in memory goes to disk until then.
    func finished() async {
        await withCheckedContinuation { continuation in
            let hasEnded = mailbox.withLock { mailbox in
                if !mailbox.hasEnded { mailbox.waiters.append(continuation) }
                return mailbox.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    // MARK: On the thread

    private func run() {
        var local = begin()
        while true {
            receive(&local)
            takeIfDue(&local)
            work(&local)
            answerFlushes(&local)
            if isDone(&local) { break }
            sleep(&local)
        }
        end(&local)
        let waiters = mailbox.withLock { mailbox in
            mailbox.hasEnded = true
            defer { mailbox.waiters = [] }
            return mailbox.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func begin() -> Local {
        let log = PublishLog(logger)
        var spool: SpoolDirectory?
        if let wanted = configuration.spool {
            do throws(PublisherError) {
                spool = try SpoolDirectory(wanted, instance: instance)
            } catch {
                log.noSpool(error)
            }
        }
        var limits = configuration.limits
        // Without it what is there is kept in memory.
        if spool == nil { limits.spooling = .never }
        let found = spool?.found ?? []
        let machine = PublishMachine(
            tenant: configuration.tenant, instance: "\(configuration.producer)-\(instance)", limits: limits,
            source: spool?.source ?? 0, found: found)
        latest.withLock { statistics in
            statistics.found = found.reduce(0) { $0 + $1.events }
            statistics.tornBytes = spool?.tornBytes ?? 0
            statistics.unreadableFiles = spool?.unreadableFiles ?? 0
            statistics.diskBytes = machine.diskBytes
        }
        log.found(
            events: found.reduce(0) { $0 + $1.events }, tornBytes: spool?.tornBytes ?? 0,
            unreadableFiles: spool?.unreadableFiles ?? 0)
        return Local(machine: machine, spool: spool, log: log)
    }

    private func receive(_ local: inout Local) {
        let inputs = mailbox.withLock { mailbox in
            defer { mailbox.inputs = [] }
            return mailbox.inputs
        }
        guard !inputs.isEmpty else { return }
        let now = uptime()
        for input in inputs {
            switch input {
            case .connected(let jetStream):
                local.jetStream = jetStream
                local.machine.connected(maxMessageBytes: jetStream.connection.maxPayload)
                // Gone again meanwhile: that was noticed before, and comes once.
                if !jetStream.connection.isConnected { local.machine.disconnected() }
            case .disconnected: local.machine.disconnected()
            case .acknowledged(let token): local.machine.acknowledged(token, now: now)
            case .failed(let token, let error): fail(token, error, &local, now: now)
            case .flush(let deadline, let answer):
                take(&local)
                local.flushes.append((local.machine.flush(), deadline, answer))
            case .close(let deadline):
                local.closing = min(local.closing ?? deadline, deadline)
                local.machine.close()
            }
        }
    }

    private func fail(_ token: UInt64, _ error: NATSError, _ local: inout Local, now: UInt64) {
        let failure: PublishMachine.Failure
        switch error.code {
        case .payloadTooLarge: failure = .tooLarge
        case .configuration, .wrongLastSequence: failure = .permanent
        // The broker's own 4xx, which no waiting changes.
        case .api(let code, _): failure = code < 500 ? .permanent : .temporary
        default: failure = .temporary
        }
        // Of a lost connection everybody knows.
        if error.code != .disconnected, error.code != .closed { local.log.refused(error) }
        local.machine.failed(token, failure, now: now)
    }

    private func takeIfDue(_ local: inout Local) {
        guard local.closing != nil || local.takeAt.map({ $0 <= uptime() }) ?? false || intake.isPressing else { return }
        take(&local)
    }

    private func take(_ local: inout Local, closing: Bool = false) {
        local.takeAt = nil
        var taken = intake.take(closing: closing)
        let now = uptime()
        if taken.events > 0 { local.busyUntil = now + PublishLoop.busy }
        for chunk in taken.chunks {
            for entry in chunk { local.machine.append(entry.event, key: entry.key, now: now) }
        }
        for (skip, count) in taken.skips {
            local.machine.skip(count, key: skip.key, reason: skip.reason, now: now)
        }
        local.machine.dropped(taken.uncounted)
        let chunks = taken.chunks
        taken.chunks = []
        settle(local, reuse: chunks)
    }

    private func settle(_ local: borrowing Local, reuse chunks: [[EventIntake.Entry]] = []) {
        intake.settle(bytes: local.machine.newBytes, events: local.machine.newEvents, reuse: chunks)
    }

    private func work(_ local: inout Local) {
        while true {
            let actions = local.machine.advance(now: uptime())
            if actions.isEmpty { break }
            for action in actions { perform(action, &local) }
        }
        local.spool?.syncDue(now: uptime())
        settle(local)
        report(&local)
    }

    private func perform(_ action: PublishMachine.Action, _ local: inout Local) {
        switch action {
        case .send(let token, let message): send(token, message, &local)
        case .write(let id, let batches):
            do throws(PublisherError) {
                try local.spool?.write(id, batches)
                local.machine.wrote(now: uptime())
            } catch {
                local.log.notWritten(error)
                local.machine.writeFailed(now: uptime())
            }
        case .read(let id, let offset, let bytes):
            let (batches, isDamaged) = local.spool?.read(id, offset: offset, bytes: bytes) ?? ([], true)
            local.machine.haveRead(id, batches, isDamaged: isDamaged)
        case .remove(let id): local.spool?.remove(id)
        }
    }

    private func send(_ token: UInt64, _ message: EventMessage, _ local: inout Local) {
        guard let jetStream = local.jetStream else { return local.machine.failed(token, .temporary, now: uptime()) }
        var headers = NATSHeaders()
        for header in message.headers { headers.add(header.name, header.value) }
        do throws(NATSError) {
            try jetStream.publish(subject: message.subject, headers: headers, payload: message.payload) { result in
                switch result {
                case .success: self.post(.acknowledged(token))
                case .failure(let error): self.post(.failed(token, error))
                }
            }
        } catch {
            fail(token, error, &local, now: uptime())
        }
    }

    private func report(_ local: inout Local) {
        let machine = local.machine
        local.log.dropped(machine.counts.dropped, now: uptime())
        let failedSyncs = local.spool?.failedSyncs ?? 0
        if failedSyncs > 0 { local.log.notForced(failedSyncs) }
        latest.withLock { statistics in
            statistics.take(machine.counts)
            statistics.diskFailures += failedSyncs
            statistics.diskBytes = machine.diskBytes
            statistics.memoryBytes = machine.memoryBytes - machine.newBytes
            statistics.peakMemoryBytes = max(statistics.peakMemoryBytes, statistics.memoryBytes)
            statistics.memoryEvents = machine.memoryEvents - machine.newEvents
            statistics.keys = machine.keys
            statistics.isConnected = machine.isConnected
        }
    }

    private func answerFlushes(_ local: inout Local) {
        guard !local.flushes.isEmpty else { return }
        let now = uptime()
        let machine = local.machine
        let isOver = local.flushes.filter { machine.isFlushed($0.epoch) || $0.deadline <= now }
        local.flushes.removeAll { machine.isFlushed($0.epoch) || $0.deadline <= now }
        for flush in isOver { flush.answer(local.machine.endFlush(flush.epoch)) }
    }

    // MARK: Sleeping

    private func sleep(_ local: inout Local) {
        guard mailbox.withLock({ $0.inputs.isEmpty }) else { return }
        let now = uptime()
        let isBusy = now < local.busyUntil
        if intake.prepareToSleep(looksAgain: isBusy) || isBusy {
            // On disk there is no hurry, and larger records are better ones.
            let patience = local.machine.isConnected || local.spool == nil ? delay : max(delay, 25_000_000)
            local.takeAt = local.takeAt ?? now + patience
        }
        // It was too much already before a caller could say so.
        if intake.isPressing { return }
        let times =
            [local.takeAt, local.machine.nextTime(now: now), local.spool?.nextSync, local.closing].compactMap { $0 }
            + local.flushes.map(\.deadline)
        guard let next = times.min() else { return wake.wait() }
        if next > now { _ = wake.wait(timeout: DispatchTime(uptimeNanoseconds: next)) }
    }

    // MARK: Ending

    private func isDone(_ local: inout Local) -> Bool {
        guard let deadline = local.closing else { return false }
        let isSafe = !local.machine.isConnected && local.machine.isOnDisk
        guard local.machine.isDrained || isSafe || uptime() >= deadline else { return false }
        // What comes after this is turned away; what came before it has to be looked at.
        take(&local, closing: true)
        return local.machine.memoryEvents == 0 || local.machine.isOnDisk || uptime() >= deadline
    }

    private func end(_ local: inout Local) {
        take(&local, closing: true)
        if !local.machine.isDrained {
            // As if the broker were away: what is in memory goes to disk.
            local.machine.disconnected()
            work(&local)
        }
        let lost = local.machine.abandon()
        local.log.ended(lost: lost, onDisk: local.machine.diskBytes)
        local.spool?.end()
        report(&local)
        intake.settle(bytes: 0, events: 0, reuse: [])
        let inputs = mailbox.withLock { mailbox in
            defer { mailbox.inputs = [] }
            mailbox.isOver = true
            return mailbox.inputs
        }
        for flush in local.flushes { flush.answer(local.machine.endFlush(flush.epoch)) }
        for case .flush(_, let answer) in inputs { answer(local.machine.endFlush(local.machine.flush())) }
    }
}

extension PublisherStatistics {
    mutating func take(_ counts: PublishCounts) {
        appended = counts.appended
        acknowledged = counts.acknowledged
        spooled = counts.spooled
        replayed = counts.replayed
        messages = counts.messages
        failedMessages = counts.failures
        diskFailures = counts.diskFailures
        for (reason, count) in counts.dropped { dropped[Reason(reason)] = count }
    }
}

extension PublisherStatistics.Reason {
    init(_ reason: DropReason) {
        switch reason {
        case .memoryFull: self = .memoryFull
        case .diskFull: self = .diskFull
        case .timedOut: self = .timedOut
        case .tooLarge: self = .tooLarge
        case .refused: self = .refused
        case .damaged: self = .damaged
        case .closed: self = .closed
        }
    }
}
