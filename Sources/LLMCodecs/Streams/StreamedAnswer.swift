internal import ATOF

/// The stream of an answer that a producer published as it came: text of server-sent events, pieces of it, or the list of the events.
enum StreamedAnswer {
    /// The body that the provider would have sent without streaming; of a stream that broke off, of what had come. What aggregators leave
    /// out is in it as well: thoughts as `reasoning_content`, and an `error` that came in the stream.
    ///
    /// - Returns: nil for what is no stream of a known provider, or one of which nothing can be said.
    static func body(of data: JSONValue) -> JSONValue? {
        guard let events = events(in: data), !events.isEmpty, events.allSatisfy({ $0.objectValue != nil }) else {
            return nil
        }
        guard let surface = surface(of: events) else {
            let error = events.lazy.compactMap(StreamLeftovers.error).first
            return events.allSatisfy { StreamLeftovers.error(in: $0) != nil } ? error.map { ["error": $0] } : nil
        }
        var aggregator = surface.makeAggregator()
        var forgiving = ForgivingEvents(surface)
        var leftovers = StreamLeftovers(surface)
        for event in events {
            let plain = forgiving.next(event)
            // What the aggregator does not take is lost by itself.
            try? aggregator.receive(plain)
            // Chat's thoughts are among the parts of which only the texts are left.
            leftovers.receive(surface == .openAIChat ? event : plain)
        }
        for event in leftovers.missingEvents { try? aggregator.receive(event) }
        guard var body = aggregator.body.objectValue else { return nil }
        leftovers.add(to: &body)
        if leftovers.isEmpty, !saysSomething(.object(body), surface) { return nil }
        return .object(body)
    }

    private static func saysSomething(_ body: JSONValue, _ surface: Surface) -> Bool {
        guard body.objectValue.flatMap(Surface.ofResponse) == surface,
            let response = body.objectValue.flatMap({ LLMNormalizer.response($0, surface, .skein) })
        else { return false }
        return response.message?.firstText?.isEmpty == false || response.toolCalls?.isEmpty == false
            || response.usage != nil || response.finishReason != nil
    }

    // MARK: Events

    private static func events(in data: JSONValue) -> [JSONValue]? {
        if let text = data.stringValue { return events(in: text) }
        guard let elements = data.arrayValue, let first = elements.first else { return nil }
        if first.objectValue != nil { return elements }
        let texts = elements.compactMap(\.stringValue)
        guard texts.count == elements.count else { return nil }
        let values = texts.lazy.filter { $0 != "[DONE]" }.compactMap { StrictJSON.value(of: $0) }
        if first.stringValue?.hasPrefix("{") == true { return Array(values) }
        // Pieces as they came over the network are cut anywhere; lines come without their ends.
        let isCut = texts.contains { $0.utf8.last.map(\.isLineEnd) ?? false } || !texts.allSatisfy(beginsWithField)
        return events(in: texts.joined(separator: isCut ? "" : "\n\n"))
    }

    private static func events(in text: String) -> [JSONValue]? {
        guard isEventStream(text) else { return nil }
        var decoder = SSEDecoder()
        var events: [JSONValue] = []
        do throws(CodecError) {
            try decoder.receive(text.utf8, into: &events)
            try decoder.finish(into: &events)
            return events
        } catch {
            // Broken off, or without the empty lines between events: then every line that is whole counts.
            let lines = text.utf8.split(whereSeparator: \.isLineEnd).compactMap { line -> JSONValue? in
                guard line.starts(with: "data:".utf8) else { return nil }
                return StrictJSON.value(of: String(decoding: line.dropFirst(5), as: UTF8.self).trimmed)
            }
            return lines.count > events.count ? lines : events
        }
    }

    private static func beginsWithField(_ text: String) -> Bool {
        let start = text.utf8.drop(while: \.isLineEnd)
        return start.isEmpty || fields.contains { start.starts(with: $0.utf8) } || start.first == UInt8(ascii: ":")
    }

    /// Whether all lines are fields or comments, so that no words of a model that speaks of streams are taken for one.
    private static func isEventStream(_ text: String) -> Bool {
        let space = UInt8(ascii: " ")
        var hasField = false
        for line in text.utf8.split(whereSeparator: \.isLineEnd) where !line.allSatisfy({ $0 == space }) {
            if fields.contains(where: { line.starts(with: $0.utf8) }) {
                hasField = true
            } else if line.first == UInt8(ascii: ":") {
                // A smiley begins with a colon as well.
                guard line.dropFirst().first == space || !line.contains(space) else { return false }
            } else {
                // The last line can be cut within its name.
                let isCut = line.endIndex == text.utf8.endIndex
                guard isCut, fields.contains(where: { $0.utf8.starts(with: line) }) else { return false }
            }
        }
        return hasField
    }

    private static let fields = ["data:", "event:", "id:", "retry:"]

    // MARK: Providers

    /// Whose stream it is: all events are of one provider, or say nothing of themselves. What comes before the first that does must be
    /// what such streams begin with, so that no other list is taken for one.
    private static func surface(of events: [JSONValue]) -> Surface? {
        var found: Surface?
        for event in events {
            guard let surface = surface(of: event) else {
                if found == nil, !isPrelude(event) { return nil }
                continue
            }
            if let found, found != surface { return nil }
            found = surface
        }
        return found
    }

    /// A ping, an error, what Azure says of the prompt, or Gemini's counts of it.
    private static func isPrelude(_ event: JSONValue) -> Bool {
        event["type"] == "ping" || StreamLeftovers.error(in: event) != nil
            || event["choices"]?.arrayValue?.isEmpty == true || event["usageMetadata"] != nil
    }

    private static func surface(of event: JSONValue) -> Surface? {
        if let type = event["type"]?.stringValue {
            let hasPlace = ["response", "output_index", "item_id"].contains { event[$0] != nil }
            if type.hasPrefix("response."), hasPlace { return .openAIResponses }
            if type == "message_start" && event["message"] != nil || type.hasPrefix("content_block_") {
                return .anthropicMessages
            }
        }
        // OCI's events of the format GENERIC do not name it.
        if event["message"]?["role"] == "ASSISTANT", event["message"]?["content"]?.arrayValue != nil {
            return .ociGenAI
        }
        guard let surface = event.objectValue.flatMap(Surface.ofResponse) else { return nil }
        switch surface {
        case .openAIChat:
            let isChunk = event["choices"]?.arrayValue?.contains { $0["delta"] != nil } == true
            let isNamed = event["object"] == "chat.completion.chunk" || event["object"] == "text_completion"
            return isChunk || isNamed ? .openAIChat : nil
        case .gemini, .ociGenAI: return surface
        case .openAIResponses, .anthropicMessages: return nil
        }
    }
}

extension UInt8 {
    fileprivate var isLineEnd: Bool { self == UInt8(ascii: "\n") || self == UInt8(ascii: "\r") }
}
