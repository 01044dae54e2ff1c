import Foundation
import Testing

@Suite("Swift code of the documentation")
struct SnippetTests {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    private static let root = tests.deletingLastPathComponent().deletingLastPathComponent()

    /// Without imports, comments and the way in which lines are broken.
    private static func bare(_ text: Substring) -> String {
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("import ") }
        let code = lines.map { (line: Substring) -> Substring in
            line.trimmingPrefix { $0 == " " }.hasPrefix("//")
                ? "" : line.firstRange(of: " //").map { line[..<$0.lowerBound] } ?? line
        }
        return code.flatMap { $0.split(separator: " ") }.joined(separator: " ")
    }

    @Test("is code that builds", arguments: ["README.md", "docs/agentkit.md", "docs/agentkit-publishing.md"])
    func builds(page: String) throws {
        let built = Self.bare(
            try String(contentsOf: Self.tests.appendingPathComponent("Snippets.swift"), encoding: .utf8)[...])
        let text = try String(contentsOf: Self.root.appendingPathComponent(page), encoding: .utf8)
        let blocks = text.components(separatedBy: "```swift\n").dropFirst().compactMap {
            $0.components(separatedBy: "```").first
        }
        #expect(!blocks.isEmpty)
        for block in blocks {
            #expect(built.contains(Self.bare(block[...])), "\(page): put this into Snippets.swift: \(block)")
        }
    }
}
