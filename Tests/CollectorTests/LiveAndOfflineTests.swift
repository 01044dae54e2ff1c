import ATOF
import CProtobufC
import CSkeinProto
import Collector
import Foundation
import HTTPTestServer
import Projections
import Stages
import Testing

@Suite("Live export and offline projection", .timeLimit(.minutes(1)))
struct LiveAndOfflineTests {
    private static let cases = [
        "02-managed-openai-chat", "03-nested-agents", "18-error-inheritance", "27-marks-plain", "35-gen-ai-attributes",
        "58-multimodal",
    ]

    /// The lines of a recorded case, which `ProjectionsTests` keep.
    private static func lines(_ name: String) throws -> [[UInt8]] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ProjectionsTests/Cases/\(name)/events.jsonl")
        return Array(try Data(contentsOf: file)).split(separator: UInt8(ascii: "\n")).map { Array($0) }
    }

    @Test("show what process lets through, once")
    func processed() throws {
        let lines = try Self.lines("03-nested-agents")
        var atof = try OfflineProjection(.atof, configuration: .init(), sessionID: nil, markProjection: nil)
        var processed = try OfflineProjection(.processed, configuration: .init(), sessionID: nil, markProjection: nil)
        for line in lines {
            try atof.add(line: line)
            for _ in 0..<2 { try processed.add(line: line) }
        }
        #expect(try processed.finish() == atof.finish())
    }

    @Test("give the same bytes for the same events, in every projection")
    func sameBytes() async throws {
        let lines = try Self.cases.map(Self.lines)
        let projections = ProjectionConfiguration.Projection.allCases
        let sinks = projections.map { _ in SpanSink() }
        defer { for sink in sinks { sink.server.stop() } }
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.trajectories = nil
            for (projection, sink) in zip(projections, sinks) {
                try configuration.addTraceEndpoint(url: sink.url, option: projection.rawValue)
                let last = configuration.endpoints.count - 1
                configuration.endpoints[last].name = projection.rawValue
                configuration.endpoints[last].projection.projection = projection
                configuration.endpoints[last].projection.promoteMetadataPrefixes = ["session_id"]
                configuration.endpoints[last].scheduledDelay = .milliseconds(20)
            }
            try await rig.collecting(configuration) { collector in
                try await rig.publish(
                    lines.map {
                        OutgoingMessage(
                            subject: SkeinSubjects.events(tenant: "acme", key: "run"),
                            contentType: SkeinHeaders.jsonLines, payload: Array($0.joined(separator: [10])))
                    })
                try await rig.catchUp(collector)
            }
            for (projection, sink) in zip(projections, sinks) {
                var offline = try OfflineProjection(
                    #require(.init(rawValue: projection.rawValue)), configuration: configuration, sessionID: nil,
                    markProjection: nil)
                for line in lines.joined() { try offline.add(line: line) }
                let expected = Set(try offline.spans.map(Self.repacked))
                #expect(expected.count > 20 && sink.changed == 0)
                #expect(Set(sink.spans.map(\.bytes)) == expected, "\(projection)")
            }
        }
    }

    /// The sink packs anew what it unpacked.
    private static func repacked(_ span: [UInt8]) throws -> [UInt8] {
        let unpacked = try #require(skein__v1__otlp__span__unpack(nil, span.count, span))
        defer { skein__v1__otlp__span__free_unpacked(unpacked, nil) }
        var packed = [UInt8](repeating: 0, count: skein__v1__otlp__span__get_packed_size(unpacked))
        skein__v1__otlp__span__pack(unpacked, &packed)
        return packed
    }
}
