internal import Foundation
internal import Logging
internal import NATSTransport
internal import Stages

/// Removes from EVENTS and PROCESSED what every cursor has passed. Nothing that a task may still read is touched.
struct StreamTrimmer: Sendable {
    private let environment: StageEnvironment
    private let stages: [String]
    private let keep: Duration
    private let interval: Duration
    private let partitions: Int

    /// - Parameter keep: how long PROCESSED keeps what every cursor has passed.
    init(_ environment: StageEnvironment, stages: [String], keep: Duration, interval: Duration, partitions: Int) {
        self.environment = environment
        self.stages = stages
        self.keep = keep
        self.interval = interval
        self.partitions = partitions
    }

    func run() async throws {
        /// Where the lowest cursor of PROCESSED was, and when: what it had passed before `keep` may go.
        var passed: [(time: ContinuousClock.Instant, sequence: UInt64)] = []
        while true {
            try await Task.sleep(for: interval)
            do {
                let cursors = try await cursors()
                if let events = cursors[SkeinSubjects.eventsStream] { try await trim(SkeinSubjects.eventsStream, below: events) }
                if let processed = cursors[SkeinSubjects.processedStream] {
                    passed.append((.now, processed))
                    let due = passed.lastIndex { $0.time.duration(to: .now) >= keep }
                    if let due {
                        try await trim(SkeinSubjects.processedStream, below: passed[due].sequence)
                        passed.removeFirst(due)
                    }
                }
            } catch let error as NATSError {
                // The streams only stay larger for a while.
                environment.logger.debug("trimming waits for the broker", metadata: ["error": "\(error)"])
            }
        }
    }

    private func trim(_ stream: String, below sequence: UInt64) async throws {
        // The server takes "below 1" for everything.
        guard sequence > 1 else { return }
        let removed = try await environment.jetStream.purgeStream(stream, below: sequence)
        environment.metrics.add("skein_messages_trimmed_total", Int(clamping: removed), ["stream": stream])
    }

    /// For each stream the first message that any task of any collector still needs. A task without a record has read nothing yet, and
    /// records of stages that are not configured here count too: somebody else's, or one that was taken out for a while.
    private func cursors() async throws -> [String: UInt64] {
        let jetStream = environment.jetStream
        var keepFrom: [TaskKey: UInt64] = [:]
        for stage in stages {
            for partition in 0..<partitions { keepFrom[TaskKey(stage: stage, partition: partition)] = 1 }
        }
        let bucket = "$KV.\(environment.state.name)."
        for subject in try await jetStream.subjects(of: "KV_\(environment.state.name)", matching: bucket + "task.*.*").keys {
            let parts = subject.split(separator: ".")
            guard let stage = parts.dropLast().last, let partition = parts.last.flatMap({ Int($0) }) else { continue }
            let key = TaskKey(stage: String(stage), partition: partition)
            guard let entry = try await environment.state.get(key.description) else { continue }
            keepFrom[key] = try TaskStore.decode(entry.value, key).keepFrom
        }
        var lowest: [String: UInt64] = [:]
        for stream in [SkeinSubjects.eventsStream, SkeinSubjects.processedStream] {
            lowest[stream] = try await jetStream.streamInfo(stream).lastSequence + 1
        }
        lowest[SkeinSubjects.processedStream] = min(
            lowest[SkeinSubjects.processedStream] ?? .max, try await lowestUnsettledChain(keepFrom))
        for (key, sequence) in keepFrom {
            let readsEvents = key.stage == "process"
            let stream = readsEvents ? SkeinSubjects.eventsStream : SkeinSubjects.processedStream
            let filter =
                readsEvents ? SkeinSubjects.eventsFilter(partition: key.partition) : SkeinSubjects.processedFilter(partition: key.partition)
            // The position of an idle task stays behind; what it needs is the next message of its own.
            if let next = try await jetStream.message(stream: stream, sequence: sequence, matching: filter) {
                lowest[stream] = min(lowest[stream] ?? .max, next.sequence)
            }
        }
        return lowest
    }

    /// The lowest last message of a chain that says more than its writer's checkpoint does. A writer that begins again reads there what is
    /// stored already, so these stay until a checkpoint has caught up with them.
    private func lowestUnsettledChain(_ keepFrom: [TaskKey: UInt64]) async throws -> UInt64 {
        let jetStream = environment.jetStream
        var lowest = UInt64.max
        for subject in try await jetStream.subjects(of: SkeinSubjects.processedStream, matching: "skein.v1.processed.>").keys {
            guard let source = subject.split(separator: ".").last.flatMap({ Int($0) }),
                let needed = keepFrom[TaskKey(stage: "process", partition: source)],
                let last = try await jetStream.lastMessage(stream: SkeinSubjects.processedStream, subject: subject, fromLeader: true),
                let covered = last.headers[SkeinHeaders.source].flatMap({ SourcePosition($0) })
            else { continue }
            if covered.sequence >= needed { lowest = min(lowest, last.sequence) }
        }
        return lowest
    }
}
