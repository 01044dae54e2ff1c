internal import ATOF
internal import LLMCodecs

extension OfflineCodec {
    /// What a stream becomes, as text of server-sent events or as a list of decoded events.
    static func streamAnswer(
        _ surface: Surface, _ input: JSONValue, _ compatibility: Compatibility
    ) throws -> JSONValue {
        var aggregator = surface.makeAggregator(compatibility)
        if let events = input["events"]?.arrayValue {
            for event in events { try aggregator.receive(event) }
            let response = try surface.decodeResponse(aggregator.body, compatibility)
            return ["annotated_response": .object(response.annotation), "data": aggregator.body]
        }
        guard let text = input["sse"]?.stringValue else {
            throw CodecError(.invalidArgument, "input has neither sse nor events")
        }
        var decoder = SSEDecoder()
        var events: [JSONValue] = []
        var isComplete = true
        do throws(CodecError) {
            try decoder.receive(text.utf8, into: &events)
            try decoder.finish(into: &events)
        } catch {
            isComplete = false
        }
        do throws(CodecError) {
            for event in events { try aggregator.receive(event) }
        } catch {
            isComplete = false
        }
        // What came of a stream that failed is put together and decoded all the same.
        let response = try? surface.decodeResponse(aggregator.body, compatibility)
        return [
            "annotated_response": response.map { .object($0.annotation) } ?? .null, "data": aggregator.body,
            "chunk_marks": .array(events.enumerated().map { ChunkMark.data(of: $1, index: $0) }),
            "status": isComplete && aggregator.isComplete ? "OK" : "ERROR",
        ]
    }
}
