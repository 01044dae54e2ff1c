import ATOF
import LLMCodecs
import Middleware
import Testing

@Suite("What a call used, for budgets")
struct CallUsageTests {
    @Test(
        "counts cached tokens once, as the form of the response says",
        arguments: [
            (
                "claude-proxy",
                #"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"#
                    + #""prompt_tokens_details":{"cached_tokens":4}}}"#,
                15
            ),
            (
                "my-gateway",
                #"{"type":"message","content":[],"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":4}}"#,
                19
            ),
            ("claude-proxy", #"{"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":4}}"#, 19),
            ("other", #"{"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":4}}"#, 15),
        ] as [(String, String, UInt64)])
    func caches(_ name: String, _ output: String, _ tokens: UInt64) throws {
        var fields = EventFields(
            kind: .scopeEnd, uuid: EventUUID(high: 1, low: 2), timestamp: EventTime(epochMicroseconds: 1), name: name)
        fields.category = "llm"
        fields.data = Array(output.utf8)
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        let end = try EventBatch(unpacking: writer.bytes).event(at: 0)
        #expect(CallUsage(end: end, pricing: PricingSources()).tokens == tokens)
    }
}
