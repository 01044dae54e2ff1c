internal import ATOF
internal import LLMCodecs

extension OfflineCodec {
    /// The LLM starts of a script of scopes, marks and managed model calls, as exporters would see them.
    static func historyAnswer(_ input: JSONValue) throws -> JSONValue {
        var script = HistoryScript()
        for step in input["steps"]?.arrayValue ?? [] { try script.run(step) }
        return ["llm_starts": .array(script.starts)]
    }
}

/// Runs the steps of a script below the implicit root of a producer's scopes.
private struct HistoryScript {
    private(set) var starts: [JSONValue] = []
    private var freshness = HistoryFreshness()
    private var scopes = [EventUUID(high: 0, low: 0)]
    private var count: UInt64 = 0

    init() { freshness.scopeStarted(scopes[0], parent: nil, isAgent: true) }

    mutating func run(_ step: JSONValue) throws {
        switch step["do"]?.stringValue {
        case "push":
            count += 1
            let uuid = EventUUID(high: 0, low: count)
            let type = step["type"]?.stringValue ?? "Agent"
            freshness.scopeStarted(uuid, parent: scopes.last, isAgent: type.lowercased() == "agent")
            scopes.append(uuid)
        case "pop":
            guard scopes.count > 1, let uuid = scopes.popLast() else {
                throw CodecError(.invalidArgument, "a pop lacks its push")
            }
            freshness.scopeEnded(uuid)
        case "mark": freshness.markReceived(name: step["name"]?.stringValue ?? "", parent: scopes.last)
        case "call": starts.append(try start(of: step))
        case let other: throw CodecError(.invalidArgument, "do is \"\(other ?? "")\", must be push, pop, mark or call")
        }
    }

    private mutating func start(of call: JSONValue) throws -> JSONValue {
        let isFresh = freshness.modelCallStarted(parent: scopes.last)
        var body = call["body"] ?? .null
        var annotated: NormalizedRequest?
        if call["codec"]?.isNull != true {
            let name = call["codec"]?.stringValue ?? Surface.openAIChat.rawValue
            guard let surface = Surface(rawValue: name) else {
                throw CodecError(.invalidArgument, "codec \"\(name)\" is not known")
            }
            annotated = try? surface.decodeRequest(body)
            // A body that cannot be written again keeps the whole history, and so does its annotation.
            if !isFresh, let request = annotated, let shorter = request.withoutToldHistory,
                let encoded = try? surface.encode(shorter, baseline: request, body: body)
            {
                annotated = shorter
                body = encoded
            }
        }
        let headers = CredentialHeaders.removed(from: call["headers"]?.objectValue ?? JSONObject())
        return [
            "name": call["name"] ?? .null, "headers": .object(headers), "content": body,
            "annotated_messages": annotated?.annotation["messages"] ?? .null,
        ]
    }
}
