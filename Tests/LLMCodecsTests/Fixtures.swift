import ATOF
import Foundation
import LLMCodecs
import Testing

/// Reads the recorded fixtures beside the tests.
enum Fixtures {
    /// A line with its id, so that a failed test names it.
    struct Fixture: Sendable, CustomTestStringConvertible {
        let json: JSONValue
        let surface: Surface

        var input: JSONValue { json["input"] ?? .null }
        var expected: JSONValue? { json["expected"] }
        var testDescription: String { json["id"]?.stringValue ?? "?" }
    }

    static func lines(_ name: String) throws -> [JSONValue] {
        let url = try #require(Bundle.module.url(forResource: name, withExtension: "jsonl", subdirectory: "Fixtures"))
        return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map {
            try JSONParser.parse(String($0))
        }
    }

    /// The fixtures of a kind that name their surface.
    static func named(_ kind: String) throws -> [Fixture] {
        try lines(kind).map {
            Fixture(json: $0, surface: try #require($0["surface"]?.stringValue.flatMap(Surface.init(rawValue:))))
        }
    }

    /// Each line as an argument of a test.
    static func all(_ name: String) -> [RecordedFixture] {
        guard let lines = try? lines(name), !lines.isEmpty else { preconditionFailure("\(name) has no fixtures") }
        return lines.map(RecordedFixture.init)
    }
}

/// One recorded fixture.
struct RecordedFixture: Sendable, CustomTestStringConvertible {
    let line: JSONValue

    var testDescription: String { line["id"]?.stringValue ?? "?" }
    var input: JSONValue { line["input"] ?? .null }
    var expected: JSONValue? { line["expected"] }
}

extension JSONValue {
    /// With all numbers as doubles of nine digits, and without null members: the rules of comparison of recorded values.
    var comparable: JSONValue {
        switch self {
        case .int, .unsigned, .double:
            .double((numberValue ?? 0) == 0 ? 0 : Double(String(format: "%.9e", numberValue ?? 0)) ?? 0)
        case .array(let elements): .array(elements.map(\.comparable))
        case .object(let object):
            .object(JSONObject(object.filter { !$0.value.isNull }.map { ($0.key, $0.value.comparable) }))
        case .null, .bool, .string: self
        }
    }
}
