internal import ATOF
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

    /// - Parameters:
    ///   - isDue: whether this member is the one that trims.
    ///   - isRunning: whether any member runs a stage.
    func run(isDue: @Sendable () async -> Bool, isRunning: @Sendable (String) -> Bool) async throws {
        /// Where the lowest cursor of PROCESSED was, and when: what it had passed before `keep` may go.
        var passed: [(time: ContinuousClock.Instant, sequence: UInt64)] = []
        var foreign: Set<String> = Set(stages)
        while true {
            try await Task.sleep(for: interval)
            guard await isDue() else {
                passed = []
                continue
            }
            do {
                let (keepFrom, unread) = try await needs()
                for stage in Set(keepFrom.keys.map(\.stage)).sorted()
                where !isRunning(stage) && foreign.insert(stage).inserted {
                    environment.logger.warning(
                        "a stage that no collector runs holds its streams back until its records are deleted",
                        metadata: [
                            "stage": "\(stage)", "remedy": "skein tasks reset --stage \(stage) --yes",
                        ])
                }
                try await trim(
                    SkeinSubjects.eventsStream, below: try await firstNeeded(of: SkeinSubjects.eventsStream, keepFrom))
                passed.append((.now, try await firstNeeded(of: SkeinSubjects.processedStream, keepFrom)))
                if let due = passed.lastIndex(where: { $0.time.duration(to: .now) >= keep }) {
                    try await trimProcessed(below: passed[due].sequence, keepFrom)
                    passed.removeFirst(due)
                }
                try await relievePressure(&passed, keepFrom)
                try await giveUpReferences(keepFrom, unread)
            } catch {
                try Task.checkCancellation()
                // The streams only stay larger for a while.
                environment.metrics.add("skein_trim_failures_total")
                guard let suppressed = environment.outages.admit("trims") else { continue }
                environment.logger.warning(
                    "streams could not be trimmed, the next try follows",
                    metadata: ["error": "\(error)", "suppressed": "\(suppressed)"])
            }
        }
    }

    /// What every cursor has passed is kept for a time only while there is room: a stream that is nearly full gives up the oldest of it
    /// first, or `process` would wait for time to pass.
    private func relievePressure(
        _ passed: inout [(time: ContinuousClock.Instant, sequence: UInt64)], _ keepFrom: [TaskKey: UInt64]
    ) async throws {
        while passed.count > 1 || passed.first.map({ $0.sequence > 1 }) == true {
            let stream = try await environment.jetStream.streamInfo(SkeinSubjects.processedStream)
            guard let most = stream.configuration.maxBytes, stream.bytes > UInt64(most) / 4 * 3,
                let oldest = passed.first
            else { return }
            if oldest.sequence > stream.firstSequence {
                try await trimProcessed(below: oldest.sequence, keepFrom)
                environment.metrics.add("skein_trimmed_early_total")
            }
            if passed.count == 1 { return }
            passed.removeFirst()
        }
    }

    /// What open runs refer to is kept for them only while there is room: with the stream nearly full one long run would stop all others, and
    /// its own end would find no room either. Its oldest payloads go; what is built without them says so. No cursor is passed.
    private func giveUpReferences(_ keepFrom: [TaskKey: UInt64], _ unread: [TaskKey: UInt64]) async throws {
        let stream = try await environment.jetStream.streamInfo(SkeinSubjects.processedStream)
        guard let most = stream.configuration.maxBytes, stream.bytes > UInt64(most) / 8 * 7, stream.firstSequence > 0
        else { return }
        let limit = try await firstNeeded(of: SkeinSubjects.processedStream, unread)
        // A quarter of what there is: it leaves the stream below where this begins. When less than that is held by references alone, it is full
        // of what somebody has not read, and giving them up would make no room.
        let quarter = stream.firstSequence + (stream.lastSequence + 1 - stream.firstSequence) / 4 + 1
        guard limit >= quarter else { return }
        try await trimProcessed(below: quarter, keepFrom)
        environment.metrics.add("skein_references_trimmed_total")
        environment.logger.error(
            "PROCESSED is nearly full of what open runs still refer to: their oldest payloads are given up",
            metadata: [
                "stream": "\(SkeinSubjects.processedStream)", "below": "\(quarter)",
                "remedy": "raise processed_max_bytes, or lower idle_seconds and max_age_seconds",
            ])
    }

    private func trim(_ stream: String, subject: String? = nil, below sequence: UInt64) async throws {
        let removed = try await environment.jetStream.purgeStream(stream, subject: subject, below: sequence)
        environment.metrics.add("skein_messages_trimmed_total", Int(clamping: removed), ["stream": stream])
    }

    /// The last message of a chain stays while it says more than its writer's checkpoint does: a writer that begins again reads there what
    /// is stored already. Everything around it goes, so that a full stream always gets room.
    private func trimProcessed(below sequence: UInt64, _ keepFrom: [TaskKey: UInt64]) async throws {
        let jetStream = environment.jetStream
        let stream = SkeinSubjects.processedStream
        var heads: [String: UInt64] = [:]
        let subjects = try await jetStream.subjects(of: stream, matching: "skein.v1.processed.>").keys
        for subject in subjects {
            guard let source = subject.split(separator: ".").last.flatMap({ Int($0) }),
                let needed = keepFrom[TaskKey(stage: "process", partition: source)],
                let last = try await jetStream.lastMessage(stream: stream, subject: subject, fromLeader: true),
                let covered = last.headers[SkeinHeaders.source].flatMap({ EventReference($0) })
            else { continue }
            if covered.sequence >= needed, last.sequence < sequence { heads[subject] = last.sequence }
        }
        if heads.isEmpty { return try await trim(stream, below: sequence) }
        for subject in subjects { try await trim(stream, subject: subject, below: heads[subject] ?? sequence) }
    }

    /// For each task of any collector the first message that it may still need, and the first that it has not finished. A task without a
    /// record has read nothing yet, and records of stages that are not configured here count too: somebody else's, or one that was taken
    /// out for a while.
    private func needs() async throws -> (keepFrom: [TaskKey: UInt64], unread: [TaskKey: UInt64]) {
        var keepFrom: [TaskKey: UInt64] = [:]
        for stage in stages where !StageName.isStore(stage) {
            for partition in 0..<partitions { keepFrom[TaskKey(stage: stage, partition: partition)] = 1 }
        }
        var unread = keepFrom
        let bucket = "$KV.\(environment.state.name)."
        let subjects = try await environment.jetStream.subjects(
            of: "KV_\(environment.state.name)", matching: bucket + "task.*.*")
        for subject in subjects.keys {
            guard let key = TaskKey(subject.dropFirst(bucket.count)), !StageName.isStore(key.stage) else { continue }
            guard let entry = try await environment.state.get(key.description, fromLeader: true) else { continue }
            let record = try TaskStore.decode(entry.value, key)
            keepFrom[key] = record.keepFrom
            unread[key] = record.position + 1
        }
        return (keepFrom, unread)
    }

    /// The first message of a stream that any task needs; behind its last message when none is.
    private func firstNeeded(of stream: String, _ keepFrom: [TaskKey: UInt64]) async throws -> UInt64 {
        let jetStream = environment.jetStream
        var first = try await jetStream.streamInfo(stream).lastSequence + 1
        for (key, sequence) in keepFrom where key.stream == stream {
            // The position of an idle task stays behind; what it needs is the next message of its own.
            if let next = try await jetStream.message(stream: stream, sequence: sequence, matching: key.filter) {
                first = min(first, next.sequence)
            }
        }
        return first
    }
}
