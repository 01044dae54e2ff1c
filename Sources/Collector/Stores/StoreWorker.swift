internal import ATOF
internal import BusReading
internal import Logging
internal import NATSTransport
internal import Stages
internal import Trajectories

/// Brings the documents of TRAJECTORIES to a destination, each until it is there, given up, or superseded.
///
/// The messages only say that there is something: the body is read when its turn has come, and before each further try, so that what is
/// sent is always the last revision there is.
actor StoreWorker: StageWorker {
    private let context: StageContext
    private let store: CollectorConfiguration.Store
    private let destination: any TrajectoryDestination
    /// Takes what the destination refuses for good.
    private let recovery: FileDestination?
    private var queue: StoreQueue
    private var received: UInt64
    private let starts = AsyncStream.makeStream(of: StoreQueue.Document.self)
    private let freed = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    /// What the last try failed with, while none has succeeded since: it is said once.
    private var failure: String?

    private static let maximumPause = Duration.seconds(30)
    private static let maximumRetryAfter = Duration.seconds(300)

    init(
        _ context: StageContext, store: CollectorConfiguration.Store, destination: any TrajectoryDestination,
        recovery: FileDestination?, queue: StoreQueue, position: UInt64
    ) {
        self.context = context
        self.store = store
        self.destination = destination
        self.recovery = recovery
        self.queue = queue
        received = position
    }

    // MARK: Messages

    func receive(_ message: StageMessage) async throws {
        if let document = try await document(of: message) {
            var room = freed.stream.makeAsyncIterator()
            while queue.isFull {
                guard await room.next() != nil else { throw CancellationError() }
            }
            let (start, superseded) = queue.arrived(document)
            send(start)
            count(.superseded, superseded.count)
            for replay in superseded where replay.isReplay { await remove(replay) }
        }
        received = message.sequence
    }

    /// What a message is about; nil when that is none of this store's business.
    private func document(of message: StageMessage) async throws -> StoreQueue.Document? {
        guard let (tenant, _) = SkeinSubjects.trajectory(of: message.subject) else { return nil }
        if tenant != SkeinSubjects.ownTenant {
            return StoreQueue.Document(subject: message.subject, position: message.sequence)
        }
        guard message.stage == context.key.stage, let replay = try await last(of: message.subject),
            let subject = replay.headers[SkeinHeaders.originalSubject],
            let origin = replay.headers[SkeinHeaders.originalSequence].flatMap({ UInt64($0) })
        else { return nil }
        context.metrics.add("skein_dead_letters_replayed_total", 1, ["stage": context.key.stage])
        return StoreQueue.Document(
            subject: subject, source: message.subject, position: message.sequence, origin: origin)
    }

    private func send(_ documents: [StoreQueue.Document]) {
        for document in documents { starts.continuation.yield(document) }
    }

    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for await document in starts.stream { group.addTask { try await self.deliver(document) } }
        }
        try Task.checkCancellation()
    }

    // MARK: Delivery

    private enum Try {
        case ended(StoreQueue.Outcome)
        case failed(String, retryAfter: Duration?)
    }

    private func deliver(_ document: StoreQueue.Document) async throws {
        var pause = store.initialBackoff
        while true {
            switch try await attempt(document) {
            case .ended(let outcome):
                if document.isReplay { await remove(document) }
                send(queue.ended(document, outcome))
                count(outcome, 1)
                freed.continuation.yield()
                return
            case .failed(let reason, let retryAfter):
                failed(reason, document)
                let wait = retryAfter.map { max(store.initialBackoff, min($0, StoreWorker.maximumRetryAfter)) }
                try await Task.sleep(for: wait ?? pause * Double.random(in: 0.5...1))
                pause = min(pause * 2, StoreWorker.maximumPause)
                context.metrics.add("skein_store_retries_total", 1, ["stage": context.key.stage])
            }
        }
    }

    private func attempt(_ document: StoreQueue.Document) async throws -> Try {
        let message: StoredMessage
        let stored: StoredDocument
        do {
            let newest = try await last(of: document.subject)
            if let newest, newest.sequence > document.origin { return .ended(.superseded) }
            guard let found = document.isReplay ? try await last(of: document.source) : newest else {
                return expired(document)
            }
            guard let read = try await self.stored(document, found) else { return .ended(.unnamed) }
            (message, stored) = (found, read)
        } catch is ReplacedTrajectoryError {
            // Either there is a newer one by now, or its parts are gone for good.
            let newest = try await last(of: document.subject)
            return newest.map { $0.sequence > document.origin } == true ? .ended(.superseded) : expired(document)
        } catch let error as NATSError where error.isTemporary {
            return .failed(error.description, retryAfter: nil)
        }
        // Another member may have the task by now, and a newer revision with it.
        guard context.lease.isValid else { return .failed("the lease has ended", retryAfter: nil) }
        switch await destination.store(stored) {
        case .stored:
            succeeded()
            return .ended(.stored)
        case .failed(let reason, let retryAfter):
            return .failed(reason, retryAfter: retryAfter)
        case .refused(let word, let reason):
            try await giveUp(document, stored, message, word: word, reason)
            return .ended(.refused)
        }
    }

    private func last(of subject: String) async throws -> StoredMessage? {
        try await context.jetStream.lastMessage(
            stream: SkeinSubjects.trajectoriesStream, subject: subject, fromLeader: true)
    }

    /// The document of a message; nil when it has no name to be kept under.
    private func stored(_ document: StoreQueue.Document, _ message: StoredMessage) async throws -> StoredDocument? {
        guard let (tenant, id) = SkeinSubjects.trajectory(of: document.subject),
            let name = message.headers[SkeinHeaders.file], FileNameTemplate.isRelative(name)
        else { return nil }
        let body = try await TrajectoryBody.read(
            context.jetStream,
            subject: message.subject, headers: message.headers, payload: message.payload)
        return StoredDocument(
            tenant: tenant, id: id, revision: message.headers[SkeinHeaders.revision].flatMap { UInt64($0) } ?? 1,
            name: name, body: body)
    }

    private func expired(_ document: StoreQueue.Document) -> Try {
        context.logger.warning(
            "a trajectory is gone from the stream before it was stored", metadata: ["subject": "\(document.subject)"])
        return .ended(.expired)
    }

    /// The document becomes a dead letter, and a file in the directory for recovery.
    private func giveUp(
        _ document: StoreQueue.Document, _ stored: StoredDocument, _ message: StoredMessage, word: String,
        _ reason: String
    ) async throws {
        var letter = DeadLetter(
            stage: context.key.stage, tenant: stored.tenant, reason: "refused_\(word)",
            message: "the store \(store.name) answered: \(reason)", stream: SkeinSubjects.trajectoriesStream,
            subject: document.subject, position: EventReference(sequence: document.origin, index: 0),
            contentType: message.headers[SkeinHeaders.contentType] ?? SkeinHeaders.json, body: stored.body)
        letter.file = stored.name
        letter.revision = stored.revision
        try await context.deadLetters.write(letter)
        log(reason, document, "a trajectory was refused for good and is a dead letter")
        guard let recovery else { return }
        switch await recovery.store(stored) {
        case .stored: context.metrics.add("skein_store_recovery_copies_total", 1, ["stage": context.key.stage])
        case .failed(let reason, _), .refused(_, let reason):
            context.logger.error(
                "a recovery copy could not be written; the dead letter has the document",
                metadata: ["diagnostic": "atif.local_fallback_failed", "error": "\(reason)"])
        }
    }

    /// What brought a dead letter back is of no use any more; should this fail it goes when it is old.
    private func remove(_ document: StoreQueue.Document) async {
        for subject in [document.source, "\(document.source).body.>"] {
            do {
                try await context.jetStream.purgeStream(SkeinSubjects.trajectoriesStream, subject: subject)
            } catch {
                context.logger.debug("purge failed", metadata: ["subject": "\(subject)", "error": "\(error)"])
            }
        }
    }

    // MARK: Accounts

    private func failed(_ reason: String, _ document: StoreQueue.Document) {
        context.metrics.add("skein_store_failures_total", 1, ["stage": context.key.stage])
        if failure == nil { log(reason, document, "a trajectory cannot be stored now and is tried again") }
        failure = reason
    }

    private func succeeded() {
        if failure != nil {
            context.logger.notice("trajectories are stored again", metadata: ["store": "\(store.name)"])
        }
        failure = nil
    }

    private func log(_ reason: String, _ document: StoreQueue.Document, _ text: Logger.Message) {
        let diagnostic =
            if case .files = store.destination { "atif.local_write_failed" } else { "atif.remote_delivery_failed" }
        context.logger.warning(
            text,
            metadata: [
                "diagnostic": "\(diagnostic)", "key": "\(store.field)", "store": "\(store.name)",
                "subject": "\(document.subject)", "error": "\(reason)",
            ])
    }

    private func count(_ outcome: StoreQueue.Outcome, _ number: Int) {
        context.metrics.add(
            "skein_store_documents_total", number, ["stage": context.key.stage, "outcome": "\(outcome)"])
        context.metrics.set("skein_store_open_documents", Double(queue.openCount), context.labels)
    }

    // MARK: Runtime

    func snapshot() -> StageSnapshot { StageSnapshot(bytes: []) }

    func sealed(_ snapshot: StageSnapshot, at position: UInt64) -> [UInt8] {
        defer { freed.continuation.yield() }
        return queue.sealed(at: position)
    }

    func confirmed() -> UInt64 { queue.firstOpen.map { $0 - 1 } ?? received }

    func ledger() -> [LedgerRow] { queue.rows.rows }

    func flush() {}
}
