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
              skein tail trajectories --durable reader --all the oldest first; the next time what came since
            """)

    enum Source: String, ExpressibleByArgument, CaseIterable {
        case events, processed, trajectories
    }

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "events, processed or trajectories.")
    var source = Source.trajectories

    @Option(help: "Only this tenant.")
    var tenant: String?

    @Option(
        help: "Only trajectories of this agent, or processed events of its runs that begin while it is looked at.")
    var agent: String?

    @Flag(help: "Begin with the oldest that the stream holds instead of from now on.")
    var all = false

    @Option(
        help: "The server remembers under this name how far it came, and the next one of the name goes on there.")
    var durable: String?

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
        if open, durable != nil { throw ValidationError("--open ends at once: leave out --durable") }
        if agent != nil, source == .events {
            throw ValidationError("--agent goes with trajectories and processed only")
        }
        if agent != nil, durable != nil, source == .processed {
            throw ValidationError("who goes on in the middle of a run does not know its agent: --agent or --durable")
        }
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
        let source = try await TailSource.open(
            jetStream, stream: stream, filter: filter, durable: durable, fromOldest: all)
        var runs = agent.map { AgentRuns(agent: $0) }
        var left = count ?? .max
        do {
            var last = ContinuousClock.now
            while left > 0 {
                for incoming in try await next(source, since: last) where left > 0 {
                    let printed = try await self.printed(incoming.message, atMost: left, jetStream, &runs)
                    try await source.acknowledge(incoming)
                    if printed > 0 { last = .now }
                    left -= printed
                }
            }
        } catch {
            await source.stop()
            throw error
        }
        await source.stop()
    }

    /// - Throws: `CommandFailure` when nothing was printed for as long as `--timeout` says.
    private func next(_ source: TailSource, since last: ContinuousClock.Instant) async throws -> [TailSource.Incoming] {
        guard let timeout else { return try await source.next() }
        return try await withThrowingTaskGroup(of: [TailSource.Incoming]?.self) { group in
            group.addTask { try await source.next() }
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

    /// - Parameter runs: which processed events are the agent's.
    /// - Returns: how many were printed.
    private func printed(
        _ message: JetStreamMessage, atMost limit: Int, _ jetStream: JetStream, _ runs: inout AgentRuns?
    ) async throws -> Int {
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
        case .processed:
            guard let body = try await processedBody(message, jetStream) else { return 0 }
            let tenant = SkeinSubjects.tenant(ofProcessed: message.subject) ?? ""
            return printEvents(body, of: message, atMost: limit) { runs?.receive($0, tenant: tenant) ?? true }
        case .events:
            if message.headers[SkeinHeaders.contentType] == SkeinHeaders.jsonLines {
                Terminal.out(message.payload)
                return 1
            }
            return printEvents(message.payload, of: message, atMost: limit) { _ in true }
        }
    }

    private func processedBody(_ message: JetStreamMessage, _ jetStream: JetStream) async throws -> [UInt8]? {
        while true {
            do {
                return try await ProcessedBody.read(jetStream, message)
            } catch let error as NATSError {
                try await TailSource.outlast(error, jetStream.connection)
            }
        }
    }

    private func printEvents(
        _ body: [UInt8], of message: JetStreamMessage, atMost limit: Int, where isWanted: (Event) -> Bool
    ) -> Int {
        do throws(EventError) {
            let batch = try EventBatch(unpacking: body)
            var printed = 0
            for index in 0..<batch.count where printed < limit {
                let event = try batch.event(at: index)
                guard isWanted(event) else { continue }
                Terminal.out(EventJSONEncoder.line(event))
                printed += 1
            }
            return printed
        } catch {
            Terminal.error("message \(message.sequence) on \(message.subject): \(error)")
            return 0
        }
    }
}
