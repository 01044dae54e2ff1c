internal import Logging
internal import NATSTransport
internal import Stages

/// Keeps an owner out of PROCESSED that goes on though its task was taken over: behind an empty message of the new owner on each of its
/// chains the broker refuses whatever the other one still sends. Readers pass over empty messages.
///
/// A chain that has no message yet needs none: the first who writes it refuses the other.
struct ProcessedFence: Sendable {
    private let context: StageContext
    private let incarnation: String

    /// Subjects that are written at the same time.
    private static let width = 16

    init(_ context: StageContext, incarnation: String) {
        self.context = context
        self.incarnation = incarnation
    }

    /// Returns when all are written; waits while PROCESSED is full or the broker is away, as processing does.
    ///
    /// - Throws: `FencedError` when the task has a later owner.
    func raise() async throws {
        let subjects = try await context.jetStream.subjects(
            of: SkeinSubjects.processedStream, matching: SkeinSubjects.chainsFilter(source: context.key.partition))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, subject) in subjects.keys.sorted().enumerated() {
                if index >= ProcessedFence.width { try await group.next() }
                group.addTask { try await raise(on: subject) }
            }
            try await group.waitForAll()
        }
        context.metrics.add("skein_fences_total", subjects.count, ["stage": "process"])
    }

    private func raise(on subject: String) async throws {
        var pause = Duration.milliseconds(20)
        while true {
            do {
                let head = try await ChainHead(of: subject, incarnation, context.jetStream)
                if head.epoch > context.epoch { throw FencedError(key: context.key) }
                // It may have been stored though its ack was lost.
                if head.epoch == context.epoch { return }
                _ = try await context.jetStream.publish(
                    subject: subject,
                    headers: head.headers(covering: head.covered, incarnation: incarnation, epoch: context.epoch),
                    payload: [])
                return
            } catch let error as NATSError where error.code == .wrongLastSequence {
                // The other one was faster this time.
            } catch let error as NATSError where error.isTemporary {
                context.logger.warning(
                    "a chain cannot be closed to its former owner yet", metadata: ["error": "\(error)"])
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(2))
            }
        }
    }
}
