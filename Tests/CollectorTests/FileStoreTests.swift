import ATOF
import Collector
import Foundation
import NATSTransport
import Stages
import Testing

@Suite("Files of trajectories", .timeLimit(.minutes(1)))
struct FileStoreTests {
    private static let run = Run(number: 1, tenant: "acme", calls: 4)

    private static func store(_ directory: String) -> CollectorConfiguration.Store {
        var store = CollectorConfiguration.Store(
            name: "files", field: "output_directory", destination: .files(directory: directory))
        store.initialBackoff = .milliseconds(20)
        return store
    }

    private static func files(below directory: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory).sorted()
    }

    private static func contents(_ path: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path).map(Array.init)
    }

    @Test("are what was published, under the template's name, and the next revision takes the place of the one before")
    func revisions() async throws {
        try await Rig.with { rig in
            let directory = rig.directory + "/out/deep"
            var configuration = try rig.storing(Self.store(directory))
            configuration.trajectories?.fileNameTemplate = "runs/{metadata.team:-none}/{session_id}.json"
            var lines = Self.run.lines
            let straggler = lines.remove(at: 3)
            let name = "runs/none/\(Self.run.id).json"
            try await rig.collecting(configuration) { collector in
                try await rig.publish(Self.run, lines)
                try await rig.catchUp(collector)
                #expect(Self.contents("\(directory)/\(name)") == (try await rig.document(of: Self.run)))
                try await rig.publish(Self.run, [straggler])
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_store_documents_total") == 2)
            }
            let document = try #require(Self.contents("\(directory)/\(name)"))
            #expect(document == (try await rig.document(of: Self.run)))
            #expect(try JSONParser.parse(document)["extra"]?["skein"]?["revision"] == 2)
            // Nothing half is left over.
            #expect(try Self.files(below: directory) == ["runs", "runs/none", name])
        }
    }

    @Test("of documents larger than a message are whole")
    func parts() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let run = Run(number: 2, tenant: "acme", calls: 200)
            try await rig.collecting(try rig.storing(Self.store(rig.directory + "/out"))) { collector in
                for start in stride(from: 0, to: run.lines.count, by: 40) {
                    try await rig.publish(run, run.lines[start..<min(start + 40, run.lines.count)])
                }
                try await rig.catchUp(collector)
            }
            let document = try #require(Self.contents("\(rig.directory)/out/nemo-relay-atif-\(run.id).json"))
            #expect(document.count > 64 << 10)
            #expect(try JSONParser.parse(document)["session_id"] == .string(run.id.description))
        }
    }

    @Test("wait for a directory that cannot be written, and a name that can never be is a dead letter")
    func trouble() async throws {
        try await Rig.with { rig in
            let directory = try rig.file("out", "in the way")
            let log = LogLines()
            var configuration = try rig.storing(Self.store(directory))
            try await rig.collecting(configuration, log: log) { collector in
                try await rig.publish(Self.run, Self.run.lines)
                try await eventually("it fails") { collector.metrics.total("skein_store_failures_total") > 1 }
                #expect(try await collector.isCaughtUp() == false)
                #expect(log.all.count { $0.contains("atif.local_write_failed") } == 1)
                try FileManager.default.removeItem(atPath: directory)
                try await rig.catchUp(collector)
            }
            #expect(try Self.files(below: directory) == ["nemo-relay-atif-\(Self.run.id).json"])
            #expect(try await rig.letters().isEmpty)

            configuration.trajectories?.fileNameTemplate =
                String(repeating: "x", count: 300) + "-{session_id}.json"
            let other = Run(number: 3, tenant: "acme", calls: 1)
            try await rig.collecting(configuration, log: log) { collector in
                try await rig.publish(other, other.lines)
                try await rig.catchUp(collector)
            }
            let letter = try #require(try await rig.letters().first)
            #expect(letter.stage == "store-files" && letter.reason == "refused_name" && letter.tenant == "acme")
            #expect(letter.body == (try await rig.document(of: other)))
            #expect(try Self.files(below: directory).count == 1)
        }
    }

    @Test("are named by nobody but a collector: a message with a name that leads out of the directory is left out")
    func foreign() async throws {
        try await Rig.with { rig in
            let directory = rig.directory + "/out"
            let configuration = try rig.storing(Self.store(directory))
            try await rig.collecting(configuration) { collector in
                try await rig.catchUp(collector)
                for (id, name) in [("a", "../a.json"), ("b", "/tmp/b.json"), ("c", "x/../../c.json"), ("d", nil)] {
                    var headers: NATSHeaders = [SkeinHeaders.revision: "1"]
                    headers[SkeinHeaders.file] = name
                    _ = try await rig.jetStream.publish(
                        subject: "skein.v1.trajectories.acme.\(id)", headers: headers, payload: Array("{}".utf8))
                }
                try await rig.catchUp(collector)
                let text = collector.metrics.prometheusText()
                #expect(text.contains(#"skein_store_documents_total{stage="store-files",outcome="unnamed"} 4"#))
            }
            #expect(!FileManager.default.fileExists(atPath: directory))
            #expect(!FileManager.default.fileExists(atPath: rig.directory + "/a.json"))
        }
    }
}
