import ATOF
import Collector
import Foundation
import HTTPTestServer
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("HTTP stores", .timeLimit(.minutes(1)))
struct HTTPStoreTests {
    private static let run = Run(number: 1, tenant: "acme", calls: 4)

    @Test("get each document with its headers, again after a failure, and never follow a redirect")
    func delivery() async throws {
        try await Rig.with { rig in
            let answers = Mutex([500, 302, 429, 403])
            let sink = DocumentSink { _ in
                .init(answers.withLock { $0.isEmpty ? 200 : $0.removeFirst() }, headers: ["Location": "/elsewhere"])
            }
            defer { sink.server.stop() }
            var store = sink.store()
            guard case .http(var http) = store.destination else { return }
            http.headers = [("x-team", "a"), ("X-Skein-Tenant", "mine")]
            store.destination = .http(http)
            let log = LogLines()
            try await rig.collecting(try rig.storing(store), log: log) { collector in
                try await rig.publish(Self.run, Self.run.lines)
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_store_failures_total") == 4)
                #expect(collector.metrics.total("skein_store_retries_total") == 4)
            }
            let request = try #require(sink.taken.first)
            #expect(sink.server.requests.count == 5)
            #expect(sink.server.requests.allSatisfy { $0.method == "POST" && $0.path == "/documents" })
            #expect(request.body == (try await rig.document(of: Self.run)))
            for (name, value) in [
                ("content-type", "application/json"), ("x-team", "a"), ("x-skein-tenant", "mine"),
                ("x-nemo-relay-atif-filename", "nemo-relay-atif-\(Self.run.id).json"),
                ("x-nemo-relay-atif-session-id", Self.run.id.description), ("x-skein-revision", "1"),
            ] {
                #expect(request.headers[name] == value)
            }
            #expect(log.all.count { $0.contains("atif.remote_delivery_failed") } == 1)
            #expect(log.all.contains { $0.contains("stored again") })
            #expect(try await rig.letters().isEmpty)
        }
    }

    @Test("that refuse a document for good leave a dead letter and a recovery copy, and get it when it is replayed")
    func refused() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let sink = DocumentSink { _ in .init(400, headers: ["Content-Type": "text/plain"], body: Array("no".utf8)) }
            defer { sink.server.stop() }
            var store = sink.store()
            store.recoveryDirectory = rig.directory + "/recovery"
            // The letter of the second one comes in parts.
            let runs = [Self.run, Run(number: 2, tenant: "acme", calls: 200)]
            try await rig.collecting(try rig.storing(store)) { collector in
                for run in runs {
                    for start in stride(from: 0, to: run.lines.count, by: 40) {
                        try await rig.publish(run, run.lines[start..<min(start + 40, run.lines.count)])
                    }
                }
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_store_recovery_copies_total") == 2)
                let letters = try await rig.letters()
                #expect(letters.count == 2)
                for letter in letters {
                    #expect(letter.stage == "store-http" && letter.reason == "refused_400" && letter.tenant == "acme")
                    #expect(letter.error.hasSuffix("status 400: no"))
                    #expect(letter.contentType == "application/json" && !letter.isIncomplete)
                    let name = try #require(letter.file)
                    #expect(
                        FileManager.default.contents(atPath: rig.directory + "/recovery/" + name) == Data(letter.body))
                }
                #expect(letters.contains { $0.body.count > 64 << 10 })

                sink.answer { _ in .init(200) }
                let replay = try await SkeinProcess.run(
                    ["dead", "replay", "--stage", "store-http", "--nats", rig.server.url], directory: rig.directory)
                #expect(replay.output == "replayed 2 letters, left 0\n", "\(replay.errors)")
                try await rig.catchUp(collector)
                #expect(Set(sink.taken.map(\.body)) == Set(letters.map(\.body)))
                #expect(
                    Set(sink.taken.compactMap { $0.headers["x-nemo-relay-atif-session-id"] })
                        == Set(runs.map(\.id.description)))
                // What brought them is gone, and was nobody's trajectory.
                #expect(
                    try await rig.jetStream.subjects(
                        of: SkeinSubjects.trajectoriesStream, matching: "skein.v1.trajectories._.>"
                    ).isEmpty)
                #expect(try await TrajectoryReader(rig.jetStream).all().count == 2)
            }
            #expect(try await rig.letters().isEmpty)
        }
    }

    @Test(
        "get no older revision after a newer one: not after a restart, not from a task that lost its place, not by a replay"
    )
    func order() async throws {
        try await Rig.with { rig in
            let sink = DocumentSink { _ in .init(400) }
            defer { sink.server.stop() }
            let configuration = try rig.storing(sink.store())
            var lines = Self.run.lines
            let stragglers = [lines.remove(at: 5), lines.remove(at: 3)]
            let id = Self.run.id.description
            try await rig.collecting(configuration) { collector in
                try await rig.publish(Self.run, lines)
                try await rig.catchUp(collector)
                #expect(try await rig.letters().count == 1)
                sink.answer { _ in .init(503) }
                try await rig.publish(Self.run, stragglers.prefix(1))
                try await eventually("the second revision is tried") { sink.server.requests.count > 2 }
                try await rig.publish(Self.run, stragglers.suffix(1))
                try await eventually("the third revision is published") {
                    let document = try await rig.document(of: Self.run) ?? []
                    return try JSONParser.parse(document)["extra"]?["skein"]?["revision"] == 3
                }
            }
            sink.answer { _ in .init(200) }
            try await rig.collecting(configuration) { collector in
                try await rig.catchUp(collector)
                #expect(sink.revisions == [id: ["3"]])
                let letter = try #require(try await rig.letters().first)
                #expect(letter.revision == 1)
                #expect(try await DeadLetterBox(rig.jetStream).replay(letter, attempt: 1) == nil)
                try await rig.catchUp(collector)
                #expect(sink.revisions == [id: ["3"]])
                #expect(try await rig.messages(in: SkeinSubjects.trajectoriesStream) == 1)
                let text = collector.metrics.prometheusText()
                #expect(text.contains(#"skein_store_documents_total{stage="store-http",outcome="superseded"} 1"#))
                let ledger = try await SkeinProcess.run(["ledger", "--nats", rig.server.url], directory: rig.directory)
                #expect(
                    ledger.output.contains("store-http: received 4 = delivered 1 + superseded 2 + dead-lettered 1"),
                    "\(ledger.output)")
            }
            // A checkpoint says that it is done.
            try await rig.collecting(configuration) { try await rig.catchUp($0) }
            #expect(sink.revisions == [id: ["3"]])
            try await rig.forget("store-http")
            try await rig.collecting(configuration) { try await rig.catchUp($0) }
            #expect(sink.revisions == [id: ["3", "3"]])
        }
    }

    @Test("that hang delay no other store, and their backlog can be seen")
    func hanging() async throws {
        try await Rig.with { rig in
            let isOpen = Mutex(false)
            let sink = DocumentSink { _ in
                while !isOpen.withLock({ $0 }) { usleep(10_000) }
                return .init(200)
            }
            defer {
                isOpen.withLock { $0 = true }
                sink.server.stop()
            }
            let other = DocumentSink()
            defer { other.server.stop() }
            var configuration = try rig.storing(sink.store("slow"), other.store("quick"))
            configuration.stopTimeout = .milliseconds(100)
            let runs = (0..<20).map { Run(number: $0, tenant: "acme", calls: 1) }
            try await rig.collecting(configuration) { collector in
                for run in runs { try await rig.publish(run, run.lines) }
                try await eventually("the other store has everything") { other.revisions.count == runs.count }
                #expect(sink.taken.isEmpty)
                try await eventually("the lag is seen") {
                    let lag = try await SkeinProcess.run(
                        ["lag", "--stage", "store-slow", "--format", "json", "--nats", rig.server.url],
                        directory: rig.directory)
                    return lag.output.contains(#""messages" : 20"#) && lag.output.contains("SKEIN_TRAJECTORIES")
                }
                isOpen.withLock { $0 = true }
                try await rig.catchUp(collector)
                #expect(sink.revisions.count == runs.count)
            }
        }
    }

    @Test("are taken over from a member that was killed, and get everything")
    func takeOver() async throws {
        try await Rig.with { rig in
            // The one that is killed has some of them under way.
            let left = Mutex(5)
            let sink = DocumentSink { _ in
                .init(
                    left.withLock {
                        $0 -= 1; return $0 >= 0
                    } ? 200 : 503)
            }
            defer { sink.server.stop() }
            let file = try rig.file(
                "skein.toml",
                """
                [nats]
                urls = ["\(rig.server.url)"]
                [collector]
                partitions = 2
                checkpoint_interval_millis = 50
                member_ttl_millis = 1000
                linger_millis = 0
                [http]
                enabled = false
                [[components]]
                kind = "observability"
                [components.config]
                version = 4
                [components.config.atif]
                enabled = true
                [[components.config.atif.storage]]
                type = "http"
                endpoint = "\(sink.server.url)/documents"
                """)
            let process = try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            let runs = (0..<40).map { Run(number: $0, tenant: "acme", calls: 1) }
            try await eventually("the streams are there") {
                (try? await rig.jetStream.streamInfo(SkeinSubjects.trajectoriesStream)) != nil
            }
            for run in runs { try await rig.publish(run, run.lines) }
            try await eventually("all are published and some are stored") {
                try await rig.messages(in: SkeinSubjects.trajectoriesStream) >= runs.count
                    && sink.server.requests.count > 8
            }
            try await process.kill()
            sink.answer { _ in .init(200) }
            let (configuration, diagnostics) = try ConfigurationReader.read(file: file, environment: [:])
            #expect(diagnostics.isEmpty)
            try await rig.collecting(configuration) { try await rig.catchUp($0) }
            #expect(Set(sink.revisions.keys) == Set(runs.map(\.id.description)))
            #expect(sink.revisions.values.allSatisfy { $0.allSatisfy { $0 == "1" } })
        }
    }
}
