/// JSON values and keys that code likes to be wrong about.
enum Vocabulary {
    /// Beyond the depth that the parser takes.
    static let deepest = 300

    static func value(_ random: inout SeededGenerator) -> [UInt8] {
        if Int.random(in: 0..<40, using: &random) == 0 {
            return Array("\"\(String(repeating: "x", count: 5000))\"".utf8)
        }
        return values[Int.random(in: values.indices, using: &random)]
    }

    static func key(_ random: inout SeededGenerator) -> [UInt8] {
        keys[Int.random(in: keys.indices, using: &random)]
    }

    private static let values: [[UInt8]] =
        (numbers + texts.map { "\"\($0)\"" } + structures).map { Array($0.utf8) } + [
            // Not UTF-8.
            Array("\"".utf8) + [0xFF, 0xC0, 0x80] + Array("\"".utf8)
        ]

    private static let keys: [[UInt8]] = names.map { Array("\"\($0)\"".utf8) }

    private static let numbers = [
        "0", "-0", "-0.0", "1", "-1", "1.0", "0.1", "1e-7", "9007199254740993", "2147483648", "4294967296",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "123456789012345678901234567890", "1e18", "1e308", "-1e308", "1e400", "5e-324",
        "1.5e16",
    ]

    private static let texts = [
        "", " ", "0", "-1", "1.5", "true", "null", "{}", "[]", #"{\"a\":[1,{\"b\":null}]}"#, #"{\"query\": \"x\"}"#,
        "{",
        #"\u0000"#, #"\ud83d\ude00"#, #"\ud800"#, "e\u{301}", "\u{FFFD}", "\u{202E}abc", "👩‍👩‍👧", "..", "../x", "/", "a/b",
        "a\\\\b",
        "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001+14:00", "1969-12-31T23:59:59Z", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z", "2026-02-30T00:00:00Z", "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff", "scope", "mark", "start", "end", "agent", "function", "llm", "tool",
        "retriever", "embedder", "reranker", "guardrail", "evaluator", "custom", "unknown", "turn", "OK", "ERROR",
        "UNSET", "error", "warn", "trace", "fatal", "counter", "gauge", "histogram", "up_down_counter", "user",
        "assistant",
        "system", "tool_calls", "stop", "length", "text", "image_url", "tool_use", "tool_result", "thinking", "message",
        "function_call", "function_call_output", "reasoning", "GENERIC", "COHERE", "gpt-4o", "USD", "eur",
        "nemo_relay.metric.v1", "model_pricing", "provider_reported",
    ]

    private static let structures = [
        "null", "true", "false", "{}", "[]", "[[]]", "[{}]", "[null]", #"{"":null}"#, #"{"a":1,"a":2}"#,
        #"[{"type":"text","text":"x"}]"#, #"{"role":"user","content":null}"#,
        #"{"prompt_tokens":18446744073709551615,"completion_tokens":1}"#,
        #"{"cost":{"total":1e308,"input":1e308,"output":1e308,"currency":"USD"}}"#,
        #"{"name":"web_search","arguments":"{"}"#, #"{"function":{"name":"","arguments":{}}}"#,
        #"{"name":"n","version":"1"}"#,
    ]

    private static let names = [
        "", "kind", "uuid", "parent_uuid", "timestamp", "name", "data", "data_schema", "metadata", "scope_category",
        "attributes", "category", "category_profile", "propagation_root_uuid", "atof_version", "model_name",
        "tool_call_id", "annotated_request", "annotated_response", "messages", "params", "tools", "content", "headers",
        "role", "tool_calls", "function", "arguments", "choices", "message", "finish_reason", "usage", "token_usage",
        "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cost", "cost_usd",
        "total", "currency", "source", "output", "input", "instructions", "type", "id", "call_id", "candidates",
        "parts",
        "contents", "promptFeedback", "usageMetadata", "chatRequest", "chatResponse", "apiFormat", "output_text",
        "otel.status_code", "otel.status_description", "error.type", "exception.type", "nemo_relay_scope_role",
        "session_id", "user_id", "subtype", "severity", "instrument", "value", "unit", "description", "bounds",
        "response_format", "stream", "time_to_first_chunk", "reasoning", "extra", "api_specific",
    ]
}
