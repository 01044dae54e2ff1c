import ATOF
import Dispatch
import Foundation
import HTTPTestServer
import HTTPTransport
import NATSTransport
import Stages
import Synchronization
import Testing

@testable import Collector

/// A worker of an export stage against a broker and a backend; the test is its runtime.
@Suite("Export worker", .timeLimit(.minutes(1)))
struct EndpointTests {
    private struct Bench {
        let rig: Rig
        let stage: ExportStage
        let context: StageContext
        let metrics: Metrics
        let log: LogLines

        /// Puts a batch into PROCESSED, and returns it as the runtime hands it over.
        func publish(
            _ lines: [String], tenant: String = "acme", age: Duration = .zero
        ) async throws -> StageMessage {
            let subject = SkeinSubjects.processed(tenant: tenant, partition: 0, source: 0)
            let payload = try packed(lines)
            let sequence = try await rig.jetStream.publish(subject: subject, payload: payload).sequence
            return StageMessage(
                subject: subject, sequence: sequence, timeNanoseconds: Self.now - age.nanoseconds,
                contentType: SkeinHeaders.protobuf, payload: payload)
        }

        static var now: UInt64 { UInt64(Date().timeIntervalSince1970 * 1e9) }

        /// Runs a worker around the body.
        func working<Result>(
            snapshot: [UInt8]? = nil, position: UInt64 = 0, _ body: (any StageWorker) async throws -> Result
        ) async throws -> Result {
            let worker = try await stage.makeWorker(context, snapshot: snapshot, position: position)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run() }
                defer { group.cancelAll() }
                return try await body(worker)
            }
        }

        func confirmed(_ worker: any StageWorker, _ position: UInt64) async throws {
            try await eventually("everything is confirmed") {
                await worker.flush()
                return await worker.confirmed() >= position
            }
        }
    }

    private static func with(
        _ sink: SpanSink, _ change: (inout CollectorConfiguration.Endpoint) -> Void = { _ in },
        runs: CollectorConfiguration.Runs = .init(), _ body: (Bench) async throws -> Void
    ) async throws {
        defer { sink.server.stop() }
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            var configuration = try rig.configuration(exportingTo: ("sink", sink))
            change(&configuration.endpoints[0])
            let (metrics, log) = (Metrics(), LogLines())
            try await body(
                Bench(
                    rig: rig,
                    stage: ExportStage(endpoint: configuration.endpoints[0], runs: runs, client: HTTPClient()),
                    context: StageContext(
                        key: TaskKey(stage: "export-sink", partition: 0), epoch: 1, fences: false,
                        lease: Lease(MembershipMachine(id: "test", timeToLive: .seconds(10), partitions: 8)),
                        jetStream: rig.jetStream,
                        metrics: metrics, logger: log.logger,
                        deadLetters: DeadLetterWriter(rig.jetStream, metrics, log.logger)),
                    metrics: metrics, log: log))
        }
    }

    private static func total(_ worker: any StageWorker) async -> LedgerCounts {
        var total = LedgerCounts()
        for row in await worker.ledger() { total += row.counts }
        return total
    }

    // MARK: Restore

    @Test("reads starts again when their ends come after a restart, and sends the same bytes")
    func restore() async throws {
        let run = Run(number: 1, tenant: "acme", calls: 6)
        let sink = SpanSink()
        try await Self.with(sink) { bench in
            // All starts first.
            let lines = run.lines.filter { $0.contains(#""start""#) } + run.lines.filter { $0.contains(#""end""#) }
            let starts = try await bench.publish(Array(lines[..<7]))
            // The message of the ends also has what the restored worker cannot know of when it asks for payloads: a mark in the agent's
            // span, and an end before its start.
            let mark = AtofLine(
                kind: "mark", uuid: Run.uuid(run: 1, scope: 90).description, parent: run.id.description, name: "note")
            let turned = ["end", "start"].map {
                AtofLine(
                    phase: $0, uuid: Run.uuid(run: 1, scope: 91).description, parent: run.id.description,
                    category: "tool")
            }
            let ends = try await bench.publish([mark.text] + turned.map(\.text) + lines[7...])
            let bytes = try await bench.working { worker in
                try await worker.receive(starts)
                let snapshot = await worker.snapshot()
                #expect(snapshot.oldestReference == starts.sequence)
                try await bench.confirmed(worker, starts.sequence)
                let bytes = await worker.sealed(snapshot, at: starts.sequence)
                try await worker.receive(ends)
                try await bench.confirmed(worker, ends.sequence)
                return bytes
            }
            #expect(sink.arrivals == 8)
            try await bench.working(snapshot: bytes, position: starts.sequence) { worker in
                #expect(await Self.total(worker).pending == 7)
                try await worker.receive(ends)
                try await bench.confirmed(worker, ends.sequence)
                let total = await Self.total(worker)
                // Without a root stamped on it the early end counts for itself.
                #expect(total[.delivered] == 16 && total[.notProjected] == 1 && total.pending == 0)
            }
            #expect(sink.arrivals == 16 && sink.count == 8 && sink.changed == 0)
        }
    }

    @Test("goes on when the start of a restored span is gone from the stream")
    func trimmed() async throws {
        let run = Run(number: 1, tenant: "acme", calls: 1)
        try await Self.with(SpanSink()) { bench in
            let starts = try await bench.publish([run.lines[0]])
            let bytes = try await bench.working { worker in
                try await worker.receive(starts)
                return await worker.sealed(await worker.snapshot(), at: starts.sequence)
            }
            let ends = try await bench.publish([run.lines[3]])
            try await bench.rig.jetStream.purgeStream(SkeinSubjects.processedStream, below: ends.sequence)
            try await bench.working(snapshot: bytes, position: starts.sequence) { worker in
                try await worker.receive(ends)
                try await bench.confirmed(worker, ends.sequence)
                #expect(await Self.total(worker)[.notProjected] == 2)
            }
            #expect(bench.metrics.total("skein_spans_unreadable_events_total") == 1)
        }
    }

    // MARK: Rejections and replays

    @Test("counts what is refused, and takes the letter back when it is replayed to this endpoint")
    func replay() async throws {
        let refuses = Atomic(true)
        let sink = SpanSink { $0.contains("tool-2") && refuses.load(ordering: .relaxed) ? 400 : 200 }
        let run = Run(number: 1, tenant: "acme", calls: 4)
        try await Self.with(sink) { bench in
            let message = try await bench.publish(run.lines)
            try await bench.working { worker in
                try await worker.receive(message)
                try await bench.confirmed(worker, message.sequence)
                var total = await Self.total(worker)
                #expect(total[.received] == 10 && total[.rejected] == 2 && total[.delivered] == 8 && total.pending == 0)
                let rows = await worker.ledger()
                #expect(rows.map(\.key) == [run.id.description] && rows.map(\.tenant) == ["acme"])

                let letter = try #require(try await bench.rig.deadLetters().first)
                let subject = try #require(letter.headers[SkeinHeaders.originalSubject])
                #expect(subject == SkeinSubjects.replay(tenant: "acme", partition: 0))
                let type = try #require(letter.headers[SkeinHeaders.contentType])
                #expect(type == SkeinHeaders.span)
                refuses.store(false, ordering: .relaxed)
                func again(_ number: UInt64, stage: String, _ payload: [UInt8]) -> StageMessage {
                    StageMessage(
                        subject: subject, sequence: message.sequence + number, timeNanoseconds: Bench.now,
                        contentType: type, stage: stage, isReplay: true, payload: payload)
                }
                try await worker.receive(again(1, stage: "export-other", letter.payload))
                try await worker.receive(again(2, stage: "export-sink", letter.payload))
                try await worker.receive(again(3, stage: "export-sink", [1, 2, 3]))
                try await bench.confirmed(worker, message.sequence + 3)
                total = await Self.total(worker)
                // The third is no span: a letter again.
                #expect(total[.received] == 12 && total[.replayed] == 2 && total[.delivered] == 9 && total.pending == 0)
                #expect(total[.rejected] == 2 && total[.deadLettered] == 1)
            }
            #expect(sink.count == run.spanCount && sink.names.contains("tool-2"))
            #expect(
                try await bench.rig.deadLetters().map { $0.headers[SkeinHeaders.reason] } == [
                    "refused_400", "undecodable",
                ])
        }
    }

    // MARK: Maximum lag

    @Test("gives up what waits for longer than the maximum lag while the endpoint hangs, says so once, and goes on")
    func maximumLag() async throws {
        let hangs = Atomic(true)
        let gate = DispatchSemaphore(value: 0)
        let sink = SpanSink { _ in
            if hangs.load(ordering: .relaxed) {
                gate.wait()
                return 503
            }
            return 200
        }
        defer { for _ in 0..<100 { gate.signal() } }
        let runs = (0..<5).map { Run(number: $0, tenant: "acme", calls: 3) }
        try await Self.with(
            sink,
            { endpoint in
                endpoint.maximumLag = .milliseconds(600)
                endpoint.timeout = .milliseconds(200)
                endpoint.maximumQueueItems = 2
                endpoint.maximumBatchItems = 1
            }
        ) { bench in
            try await bench.working { worker in
                var last: UInt64 = 0
                // The second one finds the queue full, and waits until something expires.
                for run in runs {
                    let message = try await bench.publish(run.lines)
                    try await worker.receive(message)
                    last = message.sequence
                }
                try await eventually("everything is given up") { await worker.confirmed() >= last }
                let total = await Self.total(worker)
                #expect(total[.expired] == 40 && total.pending == 0)
                #expect(bench.metrics.total("skein_events_expired_total") == 40)
                #expect(bench.log.all.count { $0.contains("beyond its maximum lag") } == 1)

                hangs.store(false, ordering: .relaxed)
                let next = try await bench.publish(Run(number: 9, tenant: "acme", calls: 3).lines)
                try await worker.receive(next)
                try await eventually("the endpoint is behind no more") { await worker.confirmed() >= next.sequence }
                #expect(await Self.total(worker)[.delivered] > 0)
            }
            #expect(sink.count > 0)
        }
    }

    @Test("does not project what is too old when it is read, nor the end of a scope whose start was")
    func tooOld() async throws {
        let sink = SpanSink()
        let run = Run(number: 1, tenant: "acme", calls: 1)
        try await Self.with(sink, { $0.maximumLag = .seconds(60) }) { bench in
            try await bench.working { worker in
                let old = try await bench.publish(Array(run.lines[..<2]), age: .seconds(61))
                try await worker.receive(old)
                try await bench.confirmed(worker, old.sequence)
                let new = try await bench.publish(Array(run.lines[2...]))
                try await worker.receive(new)
                try await bench.confirmed(worker, new.sequence)
                let total = await Self.total(worker)
                #expect(total[.received] == 4 && total[.expired] == 2 && total[.notProjected] == 2)
            }
            #expect(sink.count == 0)
        }
    }

    // MARK: Abandoned spans

    @Test("exports spans of scopes that never end when their run is idle, and nothing when the end comes after all")
    func abandoned() async throws {
        let sink = SpanSink()
        defer { sink.server.stop() }
        let run = Run(number: 1, tenant: "acme", calls: 2)
        try await Rig.with { rig in
            var configuration = try rig.configuration(exportingTo: ("sink", sink))
            configuration.runs.idle = .milliseconds(300)
            try await rig.collecting(configuration) { collector in
                let subject = SkeinSubjects.events(tenant: "acme", key: "k")
                try await rig.publish([
                    OutgoingMessage(subject: subject, payload: try packed(run.lines.dropLast()))
                ])
                try await eventually("the agent is given up") { sink.count == 3 }
                let agent = try #require(sink.spans.first { $0.name == "agent-0" })
                for text in ["skein.abandoned.reason", "idle", "scope did not end"] {
                    #expect(agent.bytes.firstRange(of: Array(text.utf8)) != nil)
                }
                let end = try packed([run.lines[run.lines.count - 1]])
                try await rig.publish([OutgoingMessage(subject: subject, payload: end)])
                try await eventually("the late end is counted") {
                    collector.metrics.total("skein_spans_late_ends_total") == 1
                }
                #expect(collector.metrics.total("skein_spans_abandoned_total") == 1)
                try await rig.catchUp(collector)
            }
            #expect(sink.count == 3 && sink.changed == 0 && sink.arrivals == 3)
        }
    }
}
