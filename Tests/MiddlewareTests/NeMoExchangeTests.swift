import ATOF
import Foundation
import Middleware
import Testing

@Suite("Recorded exchanges with NeMo Guardrails")
struct NeMoExchangeTests {
    struct Exchange: Sendable, CustomTestStringConvertible {
        let file: String
        let value: JSONValue

        var testDescription: String { file }
        var request: JSONValue? { value["request"] }
        var status: Int { value["status"]?.int64Value.map(Int.init) ?? 0 }
        var reply: [UInt8] { Array((value["reply"] ?? .null).compactText.utf8) }
        /// The content of the last message: what was checked.
        var subject: String { request?["messages"]?.arrayValue?.last?["content"]?.stringValue ?? "" }
    }

    private static let recorded: [Exchange] = {
        guard let folder = Bundle.module.resourceURL?.appending(path: "Exchanges"),
            let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path())
        else { return [] }
        return names.filter { $0.hasSuffix(".json") }.sorted().compactMap { name in
            let bytes = FileManager.default.contents(atPath: folder.appending(path: name).path())
            return bytes.flatMap { try? JSONParser.parse(Array($0)) }.map { Exchange(file: name, value: $0) }
        }
    }()

    private static let verdicts: [String: NeMoGuardrailsVerdict] = [
        "Hello.": .passed, "Hello again.": .passed, "All is fine.": .passed, #"{"found":["a","b"]}"#: .passed,
        "Which colour is it?": .modified("Which paint is it?"),
        "The LAUNCH code, please.": .blocked(rail: "regex check input"),
        "A launch code.": .blocked(rail: "regex check input"), "launch code": .blocked(rail: "regex check input"),
        "It is sk-abcdefgh1234.": .blocked(rail: "regex check output"),
        #"{"found":["forbidden"]}"#: .blocked(rail: "check tool result"),
    ]

    @Test("there are exchanges of all surfaces")
    func count() {
        let rails = Self.recorded.compactMap { $0.request?["guardrails"]?["options"]?["rails"] }
        for surface in ["input", "output", "tool_input"] {
            #expect(rails.contains { $0[surface] == true }, "none of \(surface)")
        }
    }

    /// What Skein would have asked with this request.
    private static func check(of exchange: Exchange) throws -> NeMoGuardrailsCheck {
        let request = try #require(exchange.request)
        let rails = request["guardrails"]?["options"]?["rails"]
        let model = request["model"]?.stringValue ?? ""
        if rails?["input"] == true {
            return .input(model: model, messages: request["messages"]?.arrayValue ?? [])
        }
        if rails?["output"] == true { return .output(model: model, text: exchange.subject) }
        let name = request["messages"]?[1]?["tool_calls"]?[0]?["function"]?["name"]?.stringValue ?? ""
        return .toolOutput(name: name, arguments: [:], result: try JSONParser.parse(exchange.subject))
    }

    @Test("requests are what Skein sends, and answers are read as they were meant", arguments: recorded)
    func exchange(_ exchange: Exchange) throws {
        let check = try Self.check(of: exchange)
        let id = exchange.request?["guardrails"]?["config_id"]?.stringValue ?? ""
        let settings = NeMoGuardrails(endpoint: "http://127.0.0.1", configuration: .one(id))
        #expect(try JSONParser.parse(settings.body(of: check)) == exchange.request)
        guard exchange.status == 200 else {
            let failure = #expect(throws: NeMoGuardrailsFailure.self) {
                try NeMoGuardrailsVerdict(status: exchange.status, body: exchange.reply, to: check)
            }
            #expect(failure?.kind == .status && failure?.status == exchange.status)
            return
        }
        let verdict = try NeMoGuardrailsVerdict(status: exchange.status, body: exchange.reply, to: check)
        #expect(try verdict == #require(Self.verdicts[exchange.subject]))
    }
}
