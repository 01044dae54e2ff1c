import ATOF
import Collector
import Foundation
import Testing

/// Recorded runs of the reference without and with a component (`Middleware/README.md`).
@Suite("Recorded pairs of the middleware")
struct MiddlewarePairTests {
    private static func file(_ pair: String, _ name: String) throws -> [UInt8] {
        let url = try #require(Bundle.module.url(forResource: "Middleware", withExtension: nil))
        return Array(try Data(contentsOf: url.appendingPathComponent("\(pair)/\(name)")))
    }

    /// By what the events are known, so that their order does not matter.
    private static func byIdentity(_ lines: [[UInt8]]) throws -> [String: JSONValue] {
        var events: [String: JSONValue] = [:]
        for line in lines {
            let event = try JSONParser.parse(line)
            let phase = event["scope_category"]?.stringValue ?? "mark"
            events["\(event["uuid"]?.stringValue ?? "") \(phase)"] = sameNumbers(event)
        }
        return events
    }

    /// `5` and `5.0` are the same to whoever compares with the reference.
    private static func sameNumbers(_ value: JSONValue) -> JSONValue {
        switch value {
        case .int(let number): .double(Double(number))
        case .array(let elements): .array(elements.map(sameNumbers))
        case .object(let object): .object(JSONObject(object.map { ($0.key, sameNumbers($0.value)) }))
        case .null, .bool, .unsigned, .double, .string: value
        }
    }

    @Test(
        "come out as the reference has them in strict compatibility",
        arguments: [
            "105-llm-path-messages", "114-llm-path-model-hash", "129-bare-multi-choice-normalised",
            "137-surface-only-tool-output", "163-preset-trajectory-keys", "011-routed-names",
        ])
    func pairs(pair: String) throws {
        var (configuration, _) = try ConfigurationReader.read(
            text: String(decoding: try Self.file(pair, "config.toml"), as: UTF8.self), name: "config.toml",
            environment: [:])
        configuration.compatibility = .strict
        var projection = try OfflineProjection(
            .processed, configuration: configuration, sessionID: nil, markProjection: nil)
        for line in try Self.file(pair, "input.jsonl").split(separator: UInt8(ascii: "\n")) {
            try projection.add(line: Array(line))
        }
        let found = try Self.byIdentity(try projection.finish())
        let expected = try Self.byIdentity(
            try Self.file(pair, "expected.jsonl").split(separator: UInt8(ascii: "\n")).map { Array($0) })
        #expect(found.count == expected.count)
        for (identity, event) in expected {
            for key in ["data", "metadata", "category_profile", "name"] {
                #expect(found[identity]?[key]?.nonNull == event[key]?.nonNull, "\(identity) \(key)")
            }
        }
    }

    @Test("an input is not what is expected of it: the component does something", arguments: ["105-llm-path-messages"])
    func notEmpty(pair: String) throws {
        #expect(try Self.file(pair, "input.jsonl") != Self.file(pair, "expected.jsonl"))
    }
}
