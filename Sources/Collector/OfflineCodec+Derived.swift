internal import ATOF
internal import LLMCodecs

extension OfflineCodec {
    /// What follows from bodies: `stream`, `usage`, `pricing`, `catalog`, `history`, `skill-load`. Nil for another kind.
    static func derivedAnswer(
        kind: String, _ request: JSONObject, _ compatibility: Compatibility
    ) throws -> JSONValue? {
        let input = request["input"] ?? .null
        switch kind {
        case "stream": return try streamAnswer(try surface(of: request), input, compatibility)
        case "usage": return try usageAnswer(input)
        case "pricing": return try pricingAnswer(request, input)
        case "catalog":
            do throws(PricingCatalogError) {
                _ = try PricingCatalog(input)
                return ["accepted": true]
            } catch {
                return ["accepted": false]
            }
        case "history": return try historyAnswer(input)
        case "skill-load": return try skillAnswer(input)
        default: return nil
        }
    }

    /// The catalogues of `sources`, in the order of their search.
    static func pricingSources(_ value: JSONValue?) throws(CodecError) -> PricingSources {
        var sources = PricingSources()
        for (index, element) in (value?.arrayValue ?? []).enumerated() {
            do throws(PricingCatalogError) {
                sources.catalogs.append(try PricingCatalog(element))
            } catch {
                throw CodecError(.invalidArgument, "sources[\(index)].\(error.field) \(error.message)")
            }
        }
        return sources
    }

    private static func pricingAnswer(_ request: JSONObject, _ input: JSONValue) throws -> JSONValue {
        let sources = try pricingSources(input["sources"])
        if request["surface"] != nil {
            let surface = try surface(of: request)
            var response = try surface.decodeResponse(input["response"] ?? .null)
            response.estimateCost(by: sources, surface: surface)
            if let name = input["call_name"]?.stringValue { response.estimateCost(by: sources, call: name) }
            return ["usage": response.usage?.json ?? .null]
        }
        let usage = try Usage(annotation: input["usage"]?.objectValue ?? JSONObject())
        let cost =
            usage.cost
            ?? sources.estimate(
                usage: usage, model: input["model"]?.stringValue ?? "", provider: input["provider"]?.stringValue)
        return ["cost": cost?.json ?? .null]
    }

    /// The marks that a managed tool call gets right after its start.
    private static func skillAnswer(_ input: JSONValue) throws -> JSONValue {
        guard let name = input["tool_name"]?.stringValue else {
            throw CodecError(.invalidArgument, "tool_name is missing")
        }
        let loads = SkillLoad.of(tool: name, arguments: input["arguments"], metadata: input["metadata"])
        return [
            "marks": .array(
                loads.map {
                    [
                        "data": $0.data, "metadata": $0.metadata(tool: name), "parent_is_tool": true,
                        "timestamp_equals_start": true,
                    ]
                })
        ]
    }
}
