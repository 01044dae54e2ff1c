internal import ATOF
internal import ArgumentParser
internal import BusReading
internal import Collector
internal import Foundation
internal import NATSTransport
internal import Stages

struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "Subscribe and print: raw events, processed events, or finished trajectories.",
        discussion: """
            Examples:
              skein tail                                    trajectories from now on, as trees
              skein tail trajectories --all --format json   every document, one a line
              skein tail trajectories --open                those that are open now, a line each
              skein tail processed --tenant acme --count 10 ten processed events as ATOF JSON Lines
            """)

    enum Source: String, ExpressibleByArgument, CaseIterable {
        case events, processed, trajectories
    }

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "events, processed or trajectories.")
    var source = Source.trajectories

    @Option(help: "Only this tenant.")
    var tenant: String?

    @Option(help: "Only trajectories of this agent.")
    var agent: String?

    @Flag(help: "Begin with the oldest that the stream holds instead of from now on.")
    var all = false

    @Flag(help: "Print the trajectories that are open now, the first to open first, and end.")
    var open = false

    @Option(parsing: .unconditional, help: "End after so many.")
    var count: Int?

    @Option(parsing: .unconditional, help: "End with exit code 1 when nothing came for so many seconds.")
    var timeout: Double?

    @Option(help: "text or json; events are JSON Lines in both.")
    var format = OutputFormat.text

    func validate() throws {
        if let tenant { try check(tenant: tenant) }
        if let count, count < 1 { throw ValidationError("--count must be at least 1, is \(count)") }
        if let timeout, !(0.001...86_400 ~= timeout) {
            throw ValidationError("--timeout must be above 0 and at most 86400, is \(timeout)")
        }
        if open, source != .trajectories { throw ValidationError("--open goes with trajectories only") }
        if open, all { throw ValidationError("--open prints what is open now, --all what was finished: choose one") }
        if agent != nil, source != .trajectories { throw ValidationError("--agent goes with trajectories only") }
    }

    func run() async throws {
        let connected = try await connection.connect()
        do {
            if open {
                try await printOpen(JetStream(connected))
            } else {
                try await follow(JetStream(connected))
            }
        } catch {
            await connected.close()
            throw error
        }
        await connected.close()
    }

    private var streamAndFilter: (stream: String, filter: String) {
        let tenant = tenant ?? "*"
        return switch source {
        case .events: (SkeinSubjects.eventsStream, "skein.v1.events.*.\(tenant).*")
        case .processed: (SkeinSubjects.processedStream, "skein.v1.processed.\(tenant).*.*")
        case .trajectories: (SkeinSubjects.trajectoriesStream, "skein.v1.trajectories.\(tenant).*")
        }
    }

    private func printOpen(_ jetStream: JetStream) async throws {
        _ = try await jetStream.lastSequence(ofExisting: SkeinSubjects.trajectoriesStream)
        let records = try await TrajectoryReader(jetStream).open(tenant: tenant)
        let now = EventTime(epochNanoseconds: UInt64(max(0, Date().timeIntervalSince1970) * 1e9))
        for record in records.filter({ agent == nil || $0.agent == agent }).prefix(count ?? .max) {
            Terminal.out(
                format == .json
                    ? record.json.compactText : TrajectoryTree.line(of: record, at: now))
        }
    }

    private func follow(_ jetStream: JetStream) async throws {
        let (stream, filter) = streamAndFilter
        let last = try await jetStream.lastSequence(ofExisting: stream)
        let consumer = try PullConsumer(
            jetStream,
            PullConsumerConfiguration(
                stream: stream, namePrefix: "skein-tail-\(UUID().uuidString)", filterSubjects: [filter],
                startSequence: all ? 1 : last + 1),
            budget: PrefetchBudget(total: 8 << 20), shouldContinue: { true })
        var left = count ?? .max
        do {
            var last = ContinuousClock.now
            while left > 0 {
                for message in try await next(consumer, since: last) where left > 0 {
                    let printed = try await printed(message, atMost: left, jetStream)
                    if printed > 0 { last = .now }
                    left -= printed
                }
            }
        } catch {
            await consumer.stop()
            throw error
        }
        await consumer.stop()
    }

    /// - Throws: `CommandFailure` when nothing was printed for as long as `--timeout` says.
    private func next(_ consumer: PullConsumer, since last: ContinuousClock.Instant) async throws -> [JetStreamMessage]
    {
        guard let timeout else { return try await consumer.next(max: 64) }
        return try await withThrowingTaskGroup(of: [JetStreamMessage]?.self) { group in
            group.addTask { try await consumer.next(max: 64) }
            group.addTask {
                try await Task.sleep(until: last + .seconds(timeout))
                return nil
            }
            defer { group.cancelAll() }
            guard let messages = try await group.next() ?? nil else {
                throw CommandFailure("nothing came for \(timeout) seconds")
            }
            return messages
        }
    }

    /// - Returns: how many were printed.
    private func printed(_ message: JetStreamMessage, atMost limit: Int, _ jetStream: JetStream) async throws -> Int {
        switch source {
        case .trajectories:
            // A letter on its way back to a store.
            if SkeinSubjects.tenant(ofTrajectory: message.subject) == SkeinSubjects.ownTenant { return 0 }
            let trajectory: PublishedTrajectory
            do {
                trajectory = try await TrajectoryReader(jetStream).trajectory(
                    subject: message.subject, headers: message.headers, body: message.payload)
            } catch is ReplacedTrajectoryError {
                // Its successor follows.
                return 0
            }
            if let agent, trajectory.agent != agent { return 0 }
            Terminal.out(
                format == .json
                    ? trajectory.document.compactText
                    : TrajectoryTree(trajectory.document, agent: trajectory.agent).text)
            return 1
        case .events, .processed:
            // What tasks of `watch` have counted: no events.
            if message.headers[SkeinHeaders.contentType] == SkeinHeaders.shares { return 0 }
            if message.headers[SkeinHeaders.contentType] == SkeinHeaders.jsonLines {
                Terminal.out(message.payload)
                return 1
            }
            return printEvents(message, atMost: limit)
        }
    }

    private func printEvents(_ message: JetStreamMessage, atMost limit: Int) -> Int {
        do throws(EventError) {
            let batch = try EventBatch(unpacking: message.payload)
            var printed = 0
            for index in 0..<batch.count where printed < limit {
                Terminal.out(EventJSONEncoder.line(try batch.event(at: index)))
                printed += 1
            }
            return printed
        } catch {
            Terminal.error("message \(message.sequence) on \(message.subject): \(error)")
            return 0
        }
    }
}
