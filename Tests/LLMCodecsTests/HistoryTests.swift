import ATOF
import LLMCodecs
import Testing

@Suite("Told history")
struct HistoryTests {
    private enum Input: Sendable {
        case agent(UInt64, in: UInt64?)
        case scope(UInt64, in: UInt64?)
        case end(UInt64)
        case mark(String, in: UInt64?)
        case call(in: UInt64?, isFresh: Bool)
    }

    private static func uuid(_ number: UInt64) -> EventUUID { EventUUID(high: 0, low: number) }

    @Test(
        "is told by the first call of an agent, and after a compaction",
        arguments: [
            [.agent(1, in: nil), .call(in: 1, isFresh: true), .call(in: 1, isFresh: false)],
            [.scope(1, in: nil), .call(in: 1, isFresh: true), .call(in: 1, isFresh: false)],
            [
                .agent(1, in: nil), .scope(2, in: 1), .call(in: 2, isFresh: true), .call(in: 1, isFresh: false),
                .mark("compaction", in: 2), .mark("compaction", in: 1), .call(in: 2, isFresh: true),
                .call(in: 2, isFresh: false),
            ],
            [
                .agent(1, in: nil), .call(in: 1, isFresh: true), .agent(2, in: 1), .mark("compaction", in: 2),
                .call(in: 2, isFresh: true), .call(in: 2, isFresh: false), .end(2), .call(in: 1, isFresh: false),
                .agent(2, in: 1), .call(in: 2, isFresh: true),
            ],
            [
                .agent(1, in: nil), .call(in: 1, isFresh: true), .mark("Compaction", in: 1),
                .call(in: 1, isFresh: false),
            ],
            [
                .agent(1, in: nil), .agent(2, in: 1), .call(in: 99, isFresh: true), .call(in: 2, isFresh: false),
                .call(in: nil, isFresh: false), .call(in: 1, isFresh: true),
            ],
            [.call(in: nil, isFresh: false)],
        ] as [[Input]])
    private func freshness(inputs: [Input]) {
        var freshness = HistoryFreshness()
        for input in inputs {
            switch input {
            case .agent(let id, let parent):
                freshness.scopeStarted(HistoryTests.uuid(id), parent: parent.map(HistoryTests.uuid), isAgent: true)
            case .scope(let id, let parent):
                freshness.scopeStarted(HistoryTests.uuid(id), parent: parent.map(HistoryTests.uuid), isAgent: false)
            case .end(let id): freshness.scopeEnded(HistoryTests.uuid(id))
            case .mark(let name, let parent):
                freshness.markReceived(name: name, parent: parent.map(HistoryTests.uuid))
            case .call(let parent, let isFresh):
                #expect(freshness.modelCallStarted(parent: parent.map(HistoryTests.uuid)) == isFresh)
            }
        }
    }

    @Test("is that of the innermost open agent, in whatever order agents end")
    func overlappingAgents() {
        var freshness = HistoryFreshness()
        freshness.scopeStarted(HistoryTests.uuid(0), parent: nil, isAgent: true)
        var isFresh = freshness.modelCallStarted(parent: nil)
        #expect(isFresh)
        for number in 1...200 as ClosedRange<UInt64> {
            freshness.scopeStarted(HistoryTests.uuid(number), parent: HistoryTests.uuid(0), isAgent: true)
            freshness.scopeStarted(HistoryTests.uuid(1000), parent: HistoryTests.uuid(number), isAgent: false)
            freshness.scopeEnded(HistoryTests.uuid(1000))
            // The one before ends while this one is open.
            if number > 1 { freshness.scopeEnded(HistoryTests.uuid(number - 1)) }
            isFresh = freshness.modelCallStarted(parent: nil)
            let isStillFresh = freshness.modelCallStarted(parent: nil)
            #expect(isFresh && !isStillFresh)
        }
        freshness.scopeEnded(HistoryTests.uuid(200))
        isFresh = freshness.modelCallStarted(parent: nil)
        #expect(!isFresh)
        freshness.markReceived(name: "compaction", parent: nil)
        isFresh = freshness.modelCallStarted(parent: HistoryTests.uuid(0))
        #expect(isFresh)
    }

    @Test(
        "keeps system messages and what the last user message starts",
        arguments: [
            (["system", "user", "assistant", "user"], [0, 3]), (["user"], nil), (["system", "user"], nil), ([], nil),
            (["developer", "user", "user", "assistant"], [2, 3]), (["user", "assistant", "system"], nil),
            (["system", "assistant", "assistant"], [0, 2]), (["assistant", "system"], [1]),
            (["system", "system"], nil),
        ] as [([String], [Int]?)])
    func projection(roles: [String], kept: [Int]?) throws {
        let messages = roles.enumerated().map { ["role": .string($1), "content": .string("\($0)")] as JSONValue }
        let request = try NormalizedRequest(
            annotation: JSONObject([("messages", .array(messages)), ("instructions", "i"), ("seed", 1)]))
        let shorter = request.withoutToldHistory
        #expect(shorter?.annotation["messages"] == kept.map { .array($0.map { messages[$0] }) })
        #expect(shorter?.messages.count == kept?.count)
        if let shorter { #expect(shorter.annotation["instructions"] == "i" && shorter.extra["seed"] == 1) }
    }

    @Test("headers with secrets are removed, whatever their case; others stay")
    func headers() {
        let kept = JSONObject([("set-cookie", "1"), ("x-auth-token", "2"), ("X-Api-Key-Id", "3")])
        var headers = kept
        for name in [
            "Authorization", "proxy-authorization", "COOKIE", "X-Api-Key", "api-key", "anthropic-api-key",
            "X-Goog-Api-Key",
        ] { headers[name] = "secret" }
        #expect(CredentialHeaders.removed(from: headers) == kept)
    }
}
