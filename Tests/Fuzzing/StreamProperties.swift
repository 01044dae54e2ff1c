internal import ATOF
internal import LLMCodecs

enum StreamProperties {
    /// However the bytes come, the same events come out of them, and every surface makes a body of them that is JSON. As an answer the text
    /// and the list of its events are put together once, and never where the reference is followed.
    static func check(_ text: [UInt8]) throws(FuzzFailure) {
        let events = events(of: [text[...]])
        let half = text.count / 2
        try FuzzFailure.unless(
            events == self.events(of: [text[..<half], text[half...]]), "the same stream in two pieces has other events")
        try check(answer: .string(String(decoding: text, as: UTF8.self)))
        try check(answer: .array(events))
        for surface in Surface.allCases {
            var aggregator = surface.makeAggregator()
            for (index, event) in events.enumerated() {
                try JSONProperties.check(ChunkMark.data(of: event, index: index))
                guard (try? aggregator.receive(event)) != nil else { break }
            }
            _ = aggregator.isComplete
            try JSONProperties.check(aggregator.body)
            if let response = try? surface.decodeResponse(aggregator.body) {
                try JSONProperties.check(.object(response.annotation))
            }
        }
    }

    private static func check(answer: JSONValue) throws(FuzzFailure) {
        let body = LLMNormalizer.answer(answer)
        try JSONProperties.check(body)
        try FuzzFailure.unless(LLMNormalizer.answer(body) == body, "an answer that was put together is a stream")
        try FuzzFailure.unless(LLMNormalizer.answer(answer, .strict) == answer, "the reference puts nothing together")
        if let response = LLMNormalizer.response(profile: nil, data: answer) {
            try JSONProperties.check(.object(response.annotation))
        }
        _ = LLMNormalizer.error(profile: nil, answer: body, isStreamed: true)
    }

    private static func events(of pieces: [ArraySlice<UInt8>]) -> [JSONValue] {
        var decoder = SSEDecoder()
        var events: [JSONValue] = []
        do throws(CodecError) {
            for piece in pieces { try decoder.receive(piece, into: &events) }
            try decoder.finish(into: &events)
        } catch {
            // What came before the damage counts.
        }
        return events
    }

    /// The stream of a fixture.
    static func seed(of line: [UInt8]) -> [UInt8]? {
        guard let input = try? JSONParser.parse(line)["input"] else { return nil }
        if let text = input["sse"]?.stringValue { return Array(text.utf8) }
        guard let events = input["events"]?.arrayValue else { return nil }
        return Array(events.map { "data: \($0.compactText)\n\n" }.joined().utf8)
    }
}
