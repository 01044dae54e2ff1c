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

    @Test(
        "strictly, a trajectory that is unfinished has no estimates of prices that are torn down before",
        arguments: [(true, Compatibility.strict), (false, .strict), (true, .skein)])
    func unfinishedCosts(isPricingLast: Bool, compatibility: Compatibility) throws {
        let pricing = """
            [[components]]
            kind = "pricing"
            [[components.config.sources]]
            type = "inline"
            catalog.version = 1
            [[components.config.sources.catalog.entries]]
            provider = "openai"
            model_id = "m"
            currency = "USD"
            unit = "per_token"
            rates = {input_per_million = 1000000, output_per_million = 1}
            pricing_as_of = "x"
            pricing_source = "x"
            prompt_cache = {read_accounting = "included_in_prompt_tokens"}

            """
        let observability = """
            [[components]]
            kind = "observability"
            config = {version = 4, atif = {enabled = true}}

            """
        let (configuration, diagnostics) = try ConfigurationReader.read(
            text: (isPricingLast ? [observability, pricing] : [pricing, observability]).joined(), name: "",
            environment: ["SKEIN_COMPATIBILITY": compatibility.rawValue])
        #expect(diagnostics.isEmpty)
        var projection = try OfflineProjection(
            .trajectories, configuration: configuration, sessionID: nil, markProjection: nil)
        let common = #""atof_version":"0.1","kind":"scope","attributes":[],"parent_uuid":"#
        let (root, agent, call) = (1, 2, 3)
        func line(_ category: String, _ phase: String, _ number: Int, in parent: Int, _ data: String = "null")
            -> [UInt8]
        {
            func uuid(_ number: Int) -> String { "\"01900000-0000-7000-8000-00000000000\(number)\"" }
            return Array(
                """
                {\(common)\(uuid(parent)),"uuid":\(uuid(number)),"category":"\(category)","name":"openai",\
                "scope_category":"\(phase)","timestamp":"2026-01-01T00:00:00Z","data":\(data)}
                """.utf8)
        }
        try projection.add(line: line("agent", "start", agent, in: root))
        try projection.add(line: line("llm", "start", call, in: agent, #"{"prompt":"p"}"#))
        try projection.add(
            line: line("llm", "end", call, in: agent, #"{"answer":"a","model":"m","usage":{"prompt_tokens":2}}"#))
        let document = try JSONParser.parse(try #require(try projection.finish().first))[0]
        let isEstimated = !isPricingLast || compatibility == .skein
        #expect(document?["final_metrics"]?["total_cost_usd"] == (isEstimated ? 2.0 : nil))
        #expect(projection.warnings.contains { $0.hasPrefix("1 trajectories are unfinished") })
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
