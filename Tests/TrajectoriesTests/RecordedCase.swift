import ATOF
import Foundation
import Testing

/// A recorded run beside the tests: its events and the documents of the reference.
struct RecordedCase {
    let name: String
    let events: [Event]
    let manual: JSONValue
    let dispatched: [String: JSONValue]

    static let names = [
        "01-simple-agent-tool-llm", "02-managed-openai-chat", "03-nested-agents", "04-subagent-dispatch-tool-call",
        "06-parallel-tools-no-ids", "09-anthropic-messages", "17-scope-errors", "18-error-inheritance",
        "20-guardrail-reject-tool", "27-marks-plain", "39-turn-scopes", "57-hook-gateway-dedupe", "58-multimodal",
    ]

    init(_ name: String) throws {
        self.name = name
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Cases/\(name)")
        let lines = try String(contentsOf: folder.appending(path: "events.jsonl"), encoding: .utf8).split(
            separator: "\n")
        events = try Sample.events(lines.map { try EventJSONDecoder.decode(Array($0.utf8)) })
        manual = try RecordedCase.json(folder.appending(path: "atif.json"))
        var documents: [String: JSONValue] = [:]
        for url in try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: "trajectories"), includingPropertiesForKeys: nil)
        {
            documents[url.deletingPathExtension().lastPathComponent] = try RecordedCase.json(url)
        }
        dispatched = documents
    }

    private static func json(_ url: URL) throws -> JSONValue {
        try JSONParser.parse(Array(Data(contentsOf: url)))
    }
}
