internal import ATOF

/// The stream of an answer that a producer published as it came: text of server-sent events, or the list of them.
enum StreamedAnswer {
    /// The body that the provider would have sent without streaming, and whose it is; nil for what is no stream of a known provider.
    /// Of a stream that broke off it is what had come.
    static func body(of data: JSONValue) -> (surface: Surface, body: JSONValue)? {
        guard let events = events(in: data), let surface = events.lazy.compactMap(surface).first else { return nil }
        var aggregator = surface.makeAggregator()
        for event in events {
            do throws(CodecError) { try aggregator.receive(event) } catch { break }
        }
        return (surface, aggregator.body)
    }

    private static func events(in data: JSONValue) -> [JSONValue]? {
        if let text = data.stringValue { return events(in: text) }
        guard let elements = data.arrayValue, let first = elements.first else { return nil }
        if first.objectValue != nil { return elements }
        let texts = elements.compactMap(\.stringValue)
        return texts.count == elements.count ? events(in: texts.joined(separator: "\n\n")) : nil
    }

    private static func events(in text: String) -> [JSONValue]? {
        let start = text.utf8.drop { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: " ") }
        guard ["data:", "event:", "id:", ":"].contains(where: { start.starts(with: $0.utf8) }) else { return nil }
        var decoder = SSEDecoder()
        var events: [JSONValue] = []
        // Up to what is no JSON.
        do throws(CodecError) {
            try decoder.receive(text.utf8, into: &events)
            try decoder.finish(into: &events)
        } catch {}
        return events
    }

    /// Whose stream an event is of.
    private static func surface(of event: JSONValue) -> Surface? {
        guard let object = event.objectValue else { return nil }
        if let type = event["type"]?.stringValue {
            if type.hasPrefix("response.") { return .openAIResponses }
            if type == "message_start" || type == "content_block_delta" { return .anthropicMessages }
        }
        switch Surface.ofResponse(object) {
        case .openAIChat:
            let isChunk = event["choices"]?.arrayValue?.contains { $0["delta"] != nil } == true
            return isChunk || event["object"] == "chat.completion.chunk" ? .openAIChat : nil
        case .gemini: return .gemini
        case .ociGenAI: return .ociGenAI
        case .openAIResponses, .anthropicMessages, nil: return nil
        }
    }
}
