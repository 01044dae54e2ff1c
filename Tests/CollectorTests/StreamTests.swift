import ATOF
import Collector
import Foundation
import HTTPTestServer
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("Streams", .timeLimit(.minutes(3)))
struct StreamTests {
    @Test("are created once, and their names reported")
    func created() async throws {
        try await Rig.with { rig in
            let streams = CollectorConfiguration().streams
            let first = try await StreamProvisioner(rig.jetStream, streams).prepare()
            #expect(
                first.created == [
                    "SKEIN_EVENTS", "SKEIN_PROCESSED", "SKEIN_TRAJECTORIES", "SKEIN_DEAD", "SKEIN_ALERTS",
                    "skein_state",
                ])
            var others = streams
            others.partitions = 3
            let second = try await StreamProvisioner(rig.jetStream, others).prepare()
            #expect(second.created.isEmpty)
            // What exists keeps its partitions.
            #expect(second.partitions == 8)
        }
    }

    @Test(
        "of another shape are named with the difference and left as they are",
        arguments: ["SKEIN_PROCESSED", "SKEIN_EVENTS"])
    func otherShape(name: String) async throws {
        try await Rig.with { rig in
            let layout = StreamLayout(CollectorConfiguration().streams, partitions: 8)
            var other = try #require(layout.all.first { $0.name == name })
            if name == "SKEIN_EVENTS" { other.subjectTransform = nil } else { other.discard = .old }
            let before = try await rig.jetStream.createStream(other)
            let collector = Collector(try rig.configuration(), logger: LogLines().logger)
            let error = await #expect(throws: CollectorError.self) { try await collector.run() }
            #expect(error?.description.contains(name) == true)
            #expect(error?.description.contains(name == "SKEIN_EVENTS" ? "subject transform" : "discard") == true)
            #expect(try await rig.jetStream.streamInfo(name).configuration == before.configuration)
        }
    }

    @Test(
        "that end before a task's position, or are others, end the task, which says what to do and goes on when it is done"
    )
    func recordAhead() async throws {
        try await Rig.with { rig in
            let configuration = try rig.configuration()
            let prepared = try await StreamProvisioner(rig.jetStream, configuration.streams).prepare()
            let stream = try await rig.jetStream.streamInfo(SkeinSubjects.eventsStream)
            let key = TaskKey(stage: "process", partition: 0)
            for (position, created, words) in [
                (UInt64(1000), stream.created, "SKEIN_EVENTS ends at 0, but its message 1000 was read"),
                (
                    1000, stream.created - 1,
                    "SKEIN_EVENTS was deleted and created again after its message 1000 was read"
                ),
            ] {
                let record =
                    "{\"epoch\":1,\"owner\":\"x\",\"nonce\":\"y\",\"position\":\(position),\"keepFrom\":1,\"streamCreated\":\(created)}"
                try await prepared.state.put(key.description, Array(record.utf8))
                let log = LogLines()
                try await rig.collecting(configuration, log: log) { collector in
                    try await eventually("the task says it") {
                        log.all.contains {
                            $0.contains(words) && $0.contains("skein tasks reset --stage process")
                        }
                    }
                    #expect(collector.metrics.total("skein_task_failed") == 1)
                    // The other partition goes on meanwhile.
                    #expect(await collector.tasks().count == 4)
                    try await TaskList.open(rig.jetStream).reset([key])
                    try await rig.catchUp(collector)
                }
            }
        }
    }

    @Test(
        "that are made anew under a working collector end their tasks, which name them; the others go on",
        arguments: [SkeinSubjects.eventsStream, SkeinSubjects.processedStream])
    func replacedLive(stream: String) async throws {
        try await Rig.with { rig in
            let configuration = try rig.configuration()
            let log = LogLines()
            try await rig.collecting(configuration, log: log) { collector in
                let runs = (1...4).map(Self.run)
                try await rig.publish(try runs.flatMap { try $0.messages(of: 3) })
                try await rig.catchUp(collector)
                let shape = try await rig.jetStream.streamInfo(stream).configuration
                try await rig.jetStream.deleteStream(stream)
                _ = try await rig.jetStream.createStream(shape)
                let stage = stream == SkeinSubjects.eventsStream ? "process" : "assemble"
                try await eventually("both tasks have ended") { collector.metrics.total("skein_task_failed") == 2 }
                #expect(
                    log.all.contains {
                        $0.contains("\(stream) was deleted and created again")
                            && $0.contains("skein tasks reset --stage \(stage)")
                    })
                let list = try await TaskList.open(rig.jetStream)
                try await list.reset(try await list.keys(stage: stage))
                let later = (5...8).map(Self.run)
                try await rig.publish(try later.flatMap { try $0.messages(of: 3) })
                try await rig.catchUp(collector)
                #expect(try await rig.messages(in: SkeinSubjects.trajectoriesStream) == 8)
            }
        }
    }

    @Test("that were made anew are read from their beginning: positions of the earlier EVENTS count for nothing")
    func eventsMadeAnew() async throws {
        try await Rig.with { rig in
            let configuration = try rig.configuration()
            let (before, after) = ((1...10).map(Self.run), (11...14).map(Self.run))
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try before.flatMap { try $0.messages(of: 3) })
                try await rig.catchUp(collector)
            }
            try await rig.jetStream.deleteStream(SkeinSubjects.eventsStream)
            let prepared = try await StreamProvisioner(rig.jetStream, configuration.streams).prepare()
            for partition in 0..<2 {
                try await prepared.state.delete(TaskKey(stage: "process", partition: partition).description)
            }
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try after.flatMap { try $0.messages(of: 3) })
                try await rig.catchUp(collector)
            }
            let events = try await rig.processedEvents()
            #expect(events.count == (before + after).reduce(0) { $0 + $1.eventCount })
            #expect(events.values.allSatisfy { $0 == 1 })
        }
    }

    private static func run(_ number: Int) -> Run { Run(number: number, tenant: "acme", calls: 3) }

    // MARK: Trimming

    @Test("are trimmed behind the cursors, and keep what open trajectories and spans need")
    func trimming() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            var configuration = try rig.configuration(exportingTo: ("sink", sink))
            configuration.streams.processedKeep = .zero
            configuration.trimInterval = .milliseconds(20)
            let open = Run(number: 0, tenant: "acme", calls: 2)
            let parts = try open.messages(of: 3)
            let others = (1...20).map { Run(number: $0, tenant: "acme", calls: 3) }
            try await rig.collecting(configuration) { collector in
                try await rig.publish([parts[0]])
                try await rig.catchUp(collector)
                try await rig.publish(try others.flatMap { try $0.messages(of: 3) })
                try await rig.catchUp(collector)
                try await eventually("EVENTS is empty") { try await rig.messages(in: SkeinSubjects.eventsStream) == 0 }
                #expect(try await rig.jetStream.streamInfo(SkeinSubjects.processedStream).firstSequence == 1)
            }
            // A new collector finds what its snapshots refer to.
            try await rig.collecting(configuration) { collector in
                try await rig.publish(parts[1...])
                try await rig.catchUp(collector)
                try await eventually("PROCESSED is empty") {
                    try await rig.messages(in: SkeinSubjects.processedStream) == 0
                }
            }
            #expect(try await rig.messages(in: SkeinSubjects.trajectoriesStream) == 21)
            #expect(sink.count == others.reduce(open.spanCount) { $0 + $1.spanCount })
        }
    }

    @Test(
        "keep the last message of a chain until its writer's checkpoint has passed it, so that nothing is written twice"
    )
    func trimmedHeads() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.trajectories = nil
            configuration.streams.processedKeep = .zero
            configuration.trimInterval = .milliseconds(20)
            configuration.checkpointInterval = .seconds(3600)
            let runs = (1...6).map { Run(number: $0, tenant: "acme", calls: 3) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                let collector = Collector(configuration, logger: LogLines().logger)
                group.addTask { try await collector.run() }
                for run in runs {
                    try await rig.publish(try run.messages(of: 3))
                    try await rig.catchUp(collector)
                }
                let chains = try await rig.jetStream.subjects(of: SkeinSubjects.processedStream, matching: ">").count
                try await eventually("only the heads are left") {
                    try await rig.messages(in: SkeinSubjects.processedStream) == chains
                }
                // Like a crash: no checkpoint is written.
                group.cancelAll()
            }
            let last = try await rig.jetStream.streamInfo(SkeinSubjects.processedStream).lastSequence
            configuration.checkpointInterval = .milliseconds(20)
            try await rig.collecting(configuration) { collector in
                try await rig.catchUp(collector)
                try await eventually("PROCESSED is empty") {
                    try await rig.messages(in: SkeinSubjects.processedStream) == 0
                }
                // Nothing was written but the fences against the owner before.
                let fences = UInt64(collector.metrics.total("skein_fences_total"))
                #expect(fences > 0)
                #expect(try await rig.jetStream.streamInfo(SkeinSubjects.processedStream).lastSequence == last + fences)
            }
        }
    }

    // MARK: Full

    @Test(
        "that are full of what a long run refers to give that up: the other runs go on, and its end says what is missing"
    )
    func fullOfReferences() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.streams.partitions = 1
            configuration.streams.processedMaximumBytes = 1 << 20
            configuration.streams.processedKeep = .zero
            configuration.trimInterval = .milliseconds(20)
            // Nothing of the long run is held, so that what is gone is missed.
            configuration.runs.maximumHeldBytes = 1
            let long = Run(number: 0, tenant: "acme", calls: 24)
            let others = (1...200).map { Run(number: $0, tenant: "acme", calls: 24) }
            let messages = try long.messages(of: 10)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(messages.dropLast())
                try await rig.catchUp(collector)
                try await rig.publish(try others.flatMap { try $0.messages(of: 10) })
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_references_trimmed_total") > 0)
                #expect(try await rig.messages(in: SkeinSubjects.trajectoriesStream) == others.count)
                try await rig.publish(messages.suffix(1))
                try await rig.catchUp(collector)
            }
            let all = try await TrajectoryReader(rig.jetStream).all()
            #expect(all.count == others.count + 1)
            let counts = all.first { $0.id == long.id.description }?.document["extra"]?["skein"]?["events"]
            #expect(counts?["unavailable"] == .int(Int64(long.eventCount - 10)))
            let last = all.first { $0.id == others[199].id.description }?.document["extra"]?["skein"]?["events"]
            #expect(last?["unavailable"] == 0)
        }
    }

    @Test(
        "that are full make process wait; it goes on when there is room, and nothing is lost",
        // What every cursor has passed is kept only while there is room for it.
        arguments: [Duration.zero, .seconds(3600)])
    func full(keep: Duration) async throws {
        try await Rig.with { rig in
            let isDown = Atomic(true)
            let sink = SpanSink { _ in isDown.load(ordering: .relaxed) ? 503 : 200 }
            defer { sink.server.stop() }
            var configuration = try rig.configuration(exportingTo: ("sink", sink))
            // Some of the largest messages that process writes must fit.
            configuration.streams.processedMaximumBytes = 1 << 20
            configuration.streams.processedKeep = keep
            configuration.trimInterval = .milliseconds(20)
            let runs = (0..<200).map { Run(number: $0, tenant: "acme", calls: 24) }
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try runs.flatMap { try $0.messages(of: 10) })
                try await eventually("PROCESSED is full") { collector.metrics.total("skein_processed_full_total") > 0 }
                isDown.store(false, ordering: .relaxed)
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_events_duplicate_total") == 0)
                #expect(collector.metrics.total("skein_task_restarts_total") == 0)
            }
            #expect(sink.count == runs.reduce(0) { $0 + $1.spanCount })
            let trajectories = try await rig.contents(of: SkeinSubjects.trajectoriesStream)
            #expect(trajectories.count == runs.count)
            #expect(trajectories.allSatisfy { $0.headers[SkeinHeaders.eventCount] == String(runs[0].eventCount) })
        }
    }
}
