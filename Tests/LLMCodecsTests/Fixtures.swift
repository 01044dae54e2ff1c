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
}
