import ATOF
import Foundation
import Testing

/// Reads the recorded fixtures beside the tests.
enum Fixtures {
    static func lines(_ name: String) throws -> [JSONValue] {
        let url = try #require(Bundle.module.url(forResource: name, withExtension: "jsonl", subdirectory: "Fixtures"))
        return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map {
            try JSONParser.parse(String($0))
        }
    }
}
