import ATOF
import Foundation
import LLMCodecs
import Testing

/// Reads the recorded fixtures beside the tests.
enum Fixtures {
    /// A line with its id, so that a failed test names it.
    struct Fixture: Sendable, CustomTestStringConvertible {
        let json: JSONValue

        /// Nil for a kind of fixtures that is about no surface.
        var surface: Surface? { json["surface"]?.stringValue.flatMap(Surface.init(rawValue:)) }
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

    /// The fixtures of a kind, as arguments of a test.
    static func named(_ kind: String) throws -> [Fixture] {
        try lines(kind).map(Fixture.init)
    }
}

extension JSONValue {
    /// With numbers as doubles of nine digits and without null members, as recorded values are compared.
    var comparable: JSONValue {
        switch self {
        case .int, .unsigned, .double: .double(Double(String(format: "%.9e", numberValue ?? 0)) ?? 0)
        case .array(let elements): .array(elements.map(\.comparable))
        case .object(let object):
            .object(JSONObject(object.filter { !$0.value.isNull }.map { ($0.key, $0.value.comparable) }))
        case .null, .bool, .string: self
        }
    }
}
