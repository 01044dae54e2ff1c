internal import ATOF
internal import LLMCodecs

extension OfflineCodec {
    /// What the exporters make of a model call without annotations: they are run over its two events, strictly, since the
    /// codec tells the reference's answers.
    static func usageAnswer(_ input: JSONValue) throws -> JSONValue {
        var configuration = CollectorConfiguration()
        configuration.compatibility = .strict
        configuration.pricing = try pricingSources(input["pricing_sources"])
        let full = try attributes(.full, input, configuration)
        let openinference = try attributes(.openinference, input, configuration)
        let genAI = try attributes(.genAI, input, configuration)
        return [
            "atif_metrics": try metrics(input, configuration),
            "full": [
                "cost_currency": full["nemo_relay.llm.cost.currency"] ?? .null,
                "cost_total": full["nemo_relay.llm.cost.total"] ?? .null,
                "model_name": full["nemo_relay.model_name"] ?? .null,
            ],
            "gen_ai": [
                "input_tokens": genAI["gen_ai.usage.input_tokens"] ?? .null,
                "output_tokens": genAI["gen_ai.usage.output_tokens"] ?? .null,
            ],
            "openinference": [
                "cache_read": openinference["llm.token_count.prompt_details.cache_read"] ?? .null,
                "cache_write": openinference["llm.token_count.prompt_details.cache_write"] ?? .null,
                "completion": openinference["llm.token_count.completion"] ?? .null,
                "cost_total_usd": openinference["llm.cost.total"] ?? .null,
                "prompt": openinference["llm.token_count.prompt"] ?? .null,
                "total": openinference["llm.token_count.total"] ?? .null,
            ],
        ]
    }

    private static func metrics(_ input: JSONValue, _ configuration: CollectorConfiguration) throws -> JSONValue {
        let document = try output(.atif, input, configuration)
        let step = document["steps"]?.arrayValue?.last { $0["source"] == "agent" }
        return step?["metrics"] ?? .null
    }

    /// The attributes of the call's span.
    private static func attributes(
        _ output: OfflineProjection.Output, _ input: JSONValue, _ configuration: CollectorConfiguration
    ) throws -> JSONObject {
        let request = try self.output(output, input, configuration)
        let span = request["resourceSpans"]?[0]?["scopeSpans"]?[0]?["spans"]?[0]
        return JSONObject(
            (span?["attributes"]?.arrayValue ?? []).compactMap { attribute in
                guard let key = attribute["key"]?.stringValue,
                    let value = attribute["value"]?.objectValue?.members.first
                else { return nil }
                // OTLP/JSON writes integers as strings.
                let number = value.key == "intValue" ? value.value.stringValue.flatMap { Int64($0) } : nil
                return (key, number.map { .int($0) } ?? value.value)
            })
    }

    private static func output(
        _ output: OfflineProjection.Output, _ input: JSONValue, _ configuration: CollectorConfiguration
    ) throws -> JSONValue {
        var projection = try OfflineProjection(
            output, configuration: configuration, sessionID: nil, markProjection: nil)
        for (phase, second) in [("start", 0), ("end", 1)] {
            var event = JSONObject([
                ("atof_version", "0.1"), ("kind", "scope"), ("scope_category", .string(phase)), ("category", "llm"),
                ("name", .string(input["event_name"]?.stringValue ?? "llm")),
                ("uuid", "01900000-0000-7000-8000-000000000001"),
                ("timestamp", .string("2026-01-01T00:00:0\(second)Z")), ("attributes", []),
            ])
            event["category_profile"] = input["start_model_name"]?.nonNull.map { ["model_name": $0] }
            if phase == "end" { event["data"] = input["output"] }
            try projection.add(line: Array(event.compactText.utf8))
        }
        return try JSONParser.parse(try projection.finish().first ?? [])
    }
}
