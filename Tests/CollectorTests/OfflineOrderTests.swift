import ATOF
import Collector
import Foundation
import Testing

/// A file is what a producer published, and a bus may have brought it twice or in another order.
@Suite("Events of a file that repeat or come in another order")
struct OfflineOrderTests {
    private static func recording() throws -> [Data] {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Demo/research-agent.jsonl")
        return try Data(contentsOf: url).split(separator: UInt8(ascii: "\n")).map { Data($0) }
    }

    private static func project(_ lines: [Data], as output: OfflineProjection.Output) throws -> [[UInt8]] {
        var projection = try OfflineProjection(
            output, configuration: CollectorConfiguration(), sessionID: nil, markProjection: nil)
        for line in lines { try projection.add(line: [UInt8](line)) }
        return try projection.finish()
    }

    @Test(
        "count once when they repeat",
        arguments: OfflineProjection.Output.allCases.filter { $0 != .atof })
    func repeated(_ output: OfflineProjection.Output) throws {
        let lines = try Self.recording()
        #expect(try Self.project(lines.flatMap { [$0, $0] }, as: output) == Self.project(lines, as: output))
    }

    @Test("make the same trajectory backwards", arguments: [OfflineProjection.Output.atif, .trajectories])
    func backwards(_ output: OfflineProjection.Output) throws {
        let lines = try Self.recording()
        func figures(_ lines: [Data]) throws -> [JSONValue] {
            let text = try #require(Self.project(lines, as: output).first)
            let value = try JSONParser.parse(text)
            return (value.arrayValue ?? [value]).map {
                .array([$0["final_metrics"] ?? .null, .int(Int64($0["steps"]?.arrayValue?.count ?? 0))])
            }
        }
        #expect(try figures(lines.reversed()) == figures(lines))
    }

    @Test("make the same spans when a child comes before the root that is its parent")
    func rootSecond() throws {
        var lines = try Self.recording()
        let root = try JSONParser.parse([UInt8](lines[0]))["uuid"]?.stringValue
        let child = try #require(
            lines.dropFirst().firstIndex {
                let event = try? JSONParser.parse([UInt8]($0))
                return event?["parent_uuid"]?.stringValue == root && event?["scope_category"] == "start"
            })
        func spans(_ lines: [Data]) throws -> [JSONValue] {
            let request = try JSONParser.parse(try #require(Self.project(lines, as: .openinference).first))
            return (request["resourceSpans"]?[0]?["scopeSpans"]?[0]?["spans"]?.arrayValue ?? [])
        }
        let expected = try spans(lines)
        lines.insert(lines.remove(at: child), at: 0)
        #expect(expected.count > 3)
        #expect(try spans(lines) == expected)
    }

    @Test("make as many spans backwards")
    func spans() throws {
        let lines = try Self.recording().filter { !String(decoding: $0, as: UTF8.self).contains("\"kind\":\"mark\"") }
        func count(_ lines: [Data]) throws -> Int {
            String(decoding: try #require(Self.project(lines, as: .full).first), as: UTF8.self)
                .components(separatedBy: "\"startTimeUnixNano\"").count - 1
        }
        let expected = try count(lines)
        #expect(expected > 0)
        #expect(try count(lines.reversed()) == expected)
    }
}
