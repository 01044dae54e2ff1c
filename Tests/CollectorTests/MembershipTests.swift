import Collector
import Foundation
import HTTPTestServer
import NATSTransport
import Stages
import Testing

@Suite("Members", .timeLimit(.minutes(2)), .serialized)
struct MembershipTests {
    private static let runs = (0..<60).map { Run(number: $0, tenant: "tenant-\($0 % 2)", calls: 5) }

    private static func configuration(_ rig: Rig, _ sink: SpanSink, ttl: Int = 1000) throws -> CollectorConfiguration {
        var configuration = try rig.configuration(exportingTo: ("sink", sink))
        configuration.memberTimeToLive = .milliseconds(ttl)
        configuration.streams.partitions = 4
        return configuration
    }

    private static func expectEverythingOnce(_ runs: [Run], _ rig: Rig, _ sink: SpanSink) async throws {
        try await eventually("all trajectories are published") {
            try await rig.messages(in: SkeinSubjects.trajectoriesStream) >= runs.count
        }
        let spans = runs.reduce(0) { $0 + $1.spanCount }
        try await eventually("all spans arrive") { sink.count >= spans }
        let events = try await rig.processedEvents()
        #expect(events.count == runs.reduce(0) { $0 + $1.eventCount })
        #expect(events.values.allSatisfy { $0 == 1 })
        #expect(sink.count == spans)
        #expect(sink.changed == 0)
        #expect(
            try await rig.contents(of: SkeinSubjects.trajectoriesStream).allSatisfy {
                $0.headers[SkeinHeaders.revision] == "1"
            })
        #expect(try await rig.messages(in: SkeinSubjects.deadStream) == 0)
    }

    /// The owner of every task, from the records.
    private static func owners(_ rig: Rig) async throws -> [String: String] {
        let bucket = try await KeyValueBucket.open(rig.jetStream, name: SkeinSubjects.stateBucket)
        var owners: [String: String] = [:]
        for stage in ["process", "assemble", "export-sink"] {
            for partition in 0..<4 {
                let key = TaskKey(stage: stage, partition: partition)
                guard let entry = try await bucket.get(key.description, fromLeader: true) else { continue }
                owners[key.description] = try TaskStore.decode(entry.value, key).owner
            }
        }
        return owners
    }

    @Test("share the tasks within one of even, and hand them over at once when one comes or stops")
    func sharing() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let configuration = try Self.configuration(rig, sink, ttl: 30_000)
            let log = LogLines()
            let parts = try [0..<20, 20..<40, 40..<60].map { try Self.runs[$0].flatMap { try $0.messages(of: 3) } }
            try await rig.collecting(configuration, log: log) { first in
                try await eventually("the first has all tasks") { await first.tasks().count == 12 }
                let early = Task { try await rig.publish(parts[0]) }
                try await rig.collecting(configuration, log: log) { second in
                    // Far less than the time to live: a released task is taken as soon as it is known.
                    try await eventually("they share", seconds: 15) {
                        let (one, two) = (await first.tasks(), await second.tasks())
                        return one.count == 6 && two.count == 6 && Set(one).isDisjoint(with: two)
                    }
                    try await rig.publish(parts[1])
                    try await early.value
                }
                try await eventually("the first has all tasks again", seconds: 15) { await first.tasks().count == 12 }
                try await rig.publish(parts[2])
                try await Self.expectEverythingOnce(Self.runs, rig, sink)
                // Nothing was under way twice: a graceful hand-over repeats nothing.
                #expect(sink.arrivals == sink.count)
                #expect(first.metrics.total("skein_trajectories_republished_total") == 0)
            }
            #expect(!log.all.contains { $0.contains("starts again") })
            #expect(Set(try await Self.owners(rig).values) == [""])
        }
    }

    @Test("take over the tasks of one that was killed")
    func killed() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let file = try KillTests.configuration(rig, sink, more: "member_ttl_millis = 1000")
            let victim = try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            try await eventually("the first has all tasks") {
                let owners = try await Self.ownersUnlessMissing(rig)
                return owners.count == 12 && !owners.values.contains("")
            }
            try await rig.collecting(try Self.configuration(rig, sink)) { survivor in
                try await eventually("they share") { await survivor.tasks().count == 6 }
                let messages = try Self.runs.flatMap { try $0.messages(of: 3) }
                try await rig.publish(messages[..<(messages.count / 2)])
                try await victim.kill()
                try await rig.publish(messages[(messages.count / 2)...])
                try await eventually("the survivor has all tasks", seconds: 20) { await survivor.tasks().count == 12 }
                try await Self.expectEverythingOnce(Self.runs, rig, sink)
            }
        }
    }

    @Test("write nothing that counts after a pause that was longer than the lease")
    func paused() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let file = try KillTests.configuration(rig, sink, more: "member_ttl_millis = 1000")
            let sleeper = try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            try await eventually("the first has all tasks") {
                let owners = try await Self.ownersUnlessMissing(rig)
                return owners.count == 12 && !owners.values.contains("")
            }
            let owner = try #require(try await Self.owners(rig).values.first)
            let messages = try Self.runs.flatMap { try $0.messages(of: 3) }
            // It is paused in the middle of its work.
            async let published: Void = rig.publish(messages[..<(messages.count / 2)])
            try await eventually("some is processed") { try await rig.messages(in: SkeinSubjects.processedStream) > 3 }
            sleeper.signal(SIGSTOP)
            try await published
            try await rig.collecting(try Self.configuration(rig, sink)) { awake in
                try await eventually("the other has all tasks", seconds: 20) { await awake.tasks().count == 12 }
                try await eventually("every record is the other's") {
                    try await !Self.owners(rig).values.contains(owner)
                }
                let epochs = try await Self.epochs(rig)
                sleeper.signal(SIGCONT)
                try await rig.publish(messages[(messages.count / 2)...])
                try await Self.expectEverythingOnce(Self.runs, rig, sink)
                #expect(try await Self.epochs(rig).allSatisfy { $0.value >= epochs[$0.key] ?? 0 })
                try await eventually("the sleeper has noticed") { sleeper.errors.contains("the lease was not renewed") }
                try await eventually("they share again", seconds: 20) { await awake.tasks().count == 6 }
                #expect(try await sleeper.stop().code == 0)
            }
        }
    }

    @Test("end all tasks while the broker is away for longer than the lease, and go on afterwards")
    func lapse() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let log = LogLines()
            try await rig.collecting(try Self.configuration(rig, sink), log: log) { collector in
                try await rig.publish(try Self.runs[..<20].flatMap { try $0.messages(of: 3) })
                try await rig.catchUp(collector)
                await rig.server.kill()
                try await eventually("no task runs") { await collector.tasks().isEmpty }
                #expect(log.all.contains { $0.contains("the lease was not renewed in time") })
                // What every task has to complain of meanwhile is told in a few lines.
                let complaints = Self.count(
                    ["task failed and starts again", "the lease was not renewed,", "the task is not released"], in: log)
                #expect(complaints <= 4)
                let departures = Self.count(["the broker is away"], in: log)
                #expect(departures == 1)
                try await rig.server.restart()
                try await rig.publish(try Self.runs[20...].flatMap { try $0.messages(of: 3) })
                try await Self.expectEverythingOnce(Self.runs, rig, sink)
                #expect(await collector.tasks().count == 12)
                let returns = Self.count(["the broker is back"], in: log)
                #expect(returns == 1)
                let summaries = Self.count(["lease renewals"], in: log)
                #expect(summaries >= 1)
            }
        }
    }

    /// How many lines have one of the texts.
    private static func count(_ texts: [String], in log: LogLines) -> Int {
        log.all.filter { line in texts.contains { line.contains($0) } }.count
    }

    @Test("give away what they had before a lapse and is another's after it")
    func joinDuringLapse() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let configuration = try Self.configuration(rig, sink, ttl: 2000)
            try await rig.collecting(configuration) { first in
                try await eventually("the first has all tasks") { await first.tasks().count == 12 }
                let members = try await KeyValueBucket.existing(rig.jetStream, name: "skein_members")
                await rig.server.kill()
                try await eventually("no task runs") { await first.tasks().isEmpty }
                let restarted = Int64(Date().timeIntervalSince1970 * 1e9)
                try await rig.server.restart()
                // The first waits for its time to live, and is known to be there; the second does not wait.
                try await eventually("the first is there again") {
                    // The connection of the test may be away still.
                    (try? await members.entries())?.contains { $0.created > restarted } ?? false
                }
                try await rig.collecting(configuration) { second in
                    try await eventually("they share", seconds: 20) {
                        let (one, two) = (await first.tasks(), await second.tasks())
                        return one.count == 6 && two.count == 6 && Set(one).isDisjoint(with: two)
                    }
                    try await rig.publish(try Self.runs.flatMap { try $0.messages(of: 3) })
                    try await Self.expectEverythingOnce(Self.runs, rig, sink)
                }
            }
        }
    }

    private static func ownersUnlessMissing(_ rig: Rig) async throws -> [String: String] {
        do throws(NATSError) {
            _ = try await rig.jetStream.streamInfo("KV_\(SkeinSubjects.stateBucket)")
        } catch {
            return [:]
        }
        return try await owners(rig)
    }

    private static func epochs(_ rig: Rig) async throws -> [String: UInt64] {
        let bucket = try await KeyValueBucket.open(rig.jetStream, name: SkeinSubjects.stateBucket)
        var epochs: [String: UInt64] = [:]
        for name in try await owners(rig).keys {
            let parts = name.split(separator: ".")
            let key = TaskKey(stage: String(parts[1]), partition: Int(parts[2]) ?? 0)
            guard let entry = try await bucket.get(name, fromLeader: true) else { continue }
            epochs[name] = try TaskStore.decode(entry.value, key).epoch
        }
        return epochs
    }
}
