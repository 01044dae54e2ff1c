internal import LLMCodecs

/// The same short conversation with a tool call in the form of every provider.
struct BenchmarkBodies {
    let surface: Surface
    let request: String
    let response: String

    private static let question = "How tall is the oldest lighthouse of the coast, and who wrote that down first?"
    private static let answer = "The oldest lighthouse of the coast is 41 metres tall, as the survey of 1793 says."
    private static let schema = #"{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}"#

    static let all = [
        BenchmarkBodies(
            surface: .openAIChat,
            request: #"""
                {"model":"gpt-4.1-mini","temperature":0.2,"max_tokens":512,"messages":[{"role":"system","content":"You are careful."},{"role":"user","content":"\#(question)"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"web_search","arguments":"{\"query\": \"lighthouse\"}"}}]},{"role":"tool","tool_call_id":"call_1","content":"\#(answer)"}],"tools":[{"type":"function","function":{"name":"web_search","description":"Search the web.","parameters":\#(schema)}}]}
                """#,
            response: #"""
                {"id":"chatcmpl-1","object":"chat.completion","created":1772442848,"model":"gpt-4.1-mini-2025-04-14","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"\#(answer)","tool_calls":[{"id":"call_2","type":"function","function":{"name":"web_search","arguments":"{\"query\": \"survey\"}"}}]}}],"usage":{"prompt_tokens":612,"completion_tokens":48,"total_tokens":660,"prompt_tokens_details":{"cached_tokens":0}}}
                """#),
        BenchmarkBodies(
            surface: .openAIResponses,
            request: #"""
                {"model":"gpt-4.1-mini","instructions":"You are careful.","max_output_tokens":512,"input":[{"role":"user","content":[{"type":"input_text","text":"\#(question)"}]},{"type":"function_call","call_id":"call_1","name":"web_search","arguments":"{\"query\": \"lighthouse\"}"},{"type":"function_call_output","call_id":"call_1","output":"\#(answer)"}],"tools":[{"type":"function","name":"web_search","description":"Search the web.","parameters":\#(schema)}]}
                """#,
            response: #"""
                {"id":"resp_1","object":"response","status":"completed","model":"gpt-4.1-mini-2025-04-14","output":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"\#(answer)","annotations":[]}]},{"type":"function_call","id":"fc_1","call_id":"call_2","name":"web_search","arguments":"{\"query\": \"survey\"}","status":"completed"}],"usage":{"input_tokens":612,"output_tokens":48,"total_tokens":660,"input_tokens_details":{"cached_tokens":0}}}
                """#),
        BenchmarkBodies(
            surface: .anthropicMessages,
            request: #"""
                {"model":"claude-sonnet-4","max_tokens":512,"system":"You are careful.","messages":[{"role":"user","content":"\#(question)"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"web_search","input":{"query":"lighthouse"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"\#(answer)"}]}],"tools":[{"name":"web_search","description":"Search the web.","input_schema":\#(schema)}]}
                """#,
            response: #"""
                {"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4","content":[{"type":"text","text":"\#(answer)"},{"type":"tool_use","id":"toolu_2","name":"web_search","input":{"query":"survey"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":612,"output_tokens":48,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}}
                """#),
        BenchmarkBodies(
            surface: .ociGenAI,
            request: #"""
                {"compartmentId":"ocid1.compartment.1","servingMode":{"servingType":"ON_DEMAND","modelId":"meta.llama-3.3-70b-instruct"},"chatRequest":{"apiFormat":"GENERIC","maxTokens":512,"messages":[{"role":"SYSTEM","content":[{"type":"TEXT","text":"You are careful."}]},{"role":"USER","content":[{"type":"TEXT","text":"\#(question)"}]}],"tools":[{"type":"FUNCTION","name":"web_search","description":"Search the web.","parameters":\#(schema)}]}}
                """#,
            response: #"""
                {"modelId":"meta.llama-3.3-70b-instruct","modelVersion":"1","chatResponse":{"apiFormat":"GENERIC","timeCreated":"2026-01-01T00:00:00Z","choices":[{"index":0,"finishReason":"tool_calls","message":{"role":"ASSISTANT","content":[{"type":"TEXT","text":"\#(answer)"}],"toolCalls":[{"id":"call_2","type":"FUNCTION","name":"web_search","arguments":"{\"query\": \"survey\"}"}]}}],"usage":{"promptTokens":612,"completionTokens":48,"totalTokens":660}}}
                """#),
        BenchmarkBodies(
            surface: .gemini,
            request: #"""
                {"model":"gemini-2.5-flash","systemInstruction":{"parts":[{"text":"You are careful."}]},"contents":[{"role":"user","parts":[{"text":"\#(question)"}]},{"role":"model","parts":[{"functionCall":{"name":"web_search","args":{"query":"lighthouse"}}}]},{"role":"user","parts":[{"functionResponse":{"name":"web_search","response":{"result":"\#(answer)"}}}]}],"tools":[{"functionDeclarations":[{"name":"web_search","description":"Search the web.","parameters":\#(schema)}]}],"generationConfig":{"maxOutputTokens":512}}
                """#,
            response: #"""
                {"responseId":"r1","modelVersion":"gemini-2.5-flash","candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"\#(answer)"},{"functionCall":{"name":"web_search","args":{"query":"survey"}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":612,"candidatesTokenCount":48,"totalTokenCount":660}}
                """#),
    ]
}
