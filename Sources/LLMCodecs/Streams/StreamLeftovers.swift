internal import ATOF

/// What the events of a stream say that no aggregator keeps, as the reference has them: thoughts, what was said aloud or refused, errors,
/// and the words of a Responses stream that broke off.
struct StreamLeftovers: Sendable {
    private let surface: Surface
    private var thoughts = ""
    private var refusal = ""
    private var transcript = ""
    private var error: JSONValue?
    /// Gemini's word on a prompt that it does not answer.
    private var promptFeedback: JSONValue?
    /// What came of Responses items by their places: words, calls as they began, and arguments; and the places of those that came whole.
    private var texts: [UInt64: String] = [:]
    private var refusals: [UInt64: String] = [:]
    private var calls: [UInt64: JSONObject] = [:]
    private var arguments: [UInt64: String] = [:]
    private var whole: Set<UInt64> = []

    init(_ surface: Surface) { self.surface = surface }

    var isEmpty: Bool {
        thoughts.isEmpty && refusal.isEmpty && transcript.isEmpty && refusals.isEmpty && error == nil
            && promptFeedback == nil
    }

    mutating func receive(_ event: JSONValue) {
        // In a known stream no model speaks of errors beside the answer.
        if error == nil {
            let text = event["error"]?.stringValue ?? ""
            error = StreamLeftovers.error(in: event) ?? (text.isEmpty ? nil : ["message": .string(text)])
        }
        switch surface {
        case .openAIChat:
            // Only the first choice is shown.
            for choice in event["choices"]?.arrayValue ?? [] where (choice["index"]?.uint64Value ?? 0) == 0 {
                guard let delta = choice["delta"] else { continue }
                thoughts += (delta["reasoning_content"]?.stringValue ?? delta["reasoning"]?.stringValue) ?? ""
                for part in delta["content"]?.arrayValue ?? [] where part["type"] == "thinking" {
                    thoughts += ForgivingBodies.text(of: part["thinking"])
                }
                refusal += delta["refusal"]?.stringValue ?? ""
                transcript += delta["audio"]?["transcript"]?.stringValue ?? ""
            }
        case .anthropicMessages: thoughts += event["delta"]?["thinking"]?.stringValue ?? ""
        case .gemini:
            if let feedback = event["promptFeedback"]?.nonNull { promptFeedback = feedback }
            for part in event["candidates"]?[0]?["content"]?["parts"]?.arrayValue ?? [] where part["thought"] == true {
                thoughts += part["text"]?.stringValue ?? ""
            }
        case .openAIResponses:
            guard let index = event["output_index"]?.uint64Value else { return }
            switch event["type"]?.stringValue {
            case "response.output_item.done": whole.insert(index)
            case "response.output_item.added":
                if let item = event["item"]?.objectValue, item["name"] != nil { calls[index] = item }
            case "response.refusal.delta": refusals[index, default: ""] += event["delta"]?.stringValue ?? ""
            case "response.output_text.delta": texts[index, default: ""] += event["delta"]?.stringValue ?? ""
            case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
                arguments[index, default: ""] += event["delta"]?.stringValue ?? ""
            case "response.function_call_arguments.done", "response.custom_tool_call_input.done":
                if let text = (event["arguments"] ?? event["input"])?.stringValue { arguments[index] = text }
            default: break
            }
        case .ociGenAI: break
        }
    }

    /// The ends of items that did not come.
    var missingEvents: [JSONValue] {
        func message(_ type: String, _ key: String, _ text: String) -> JSONValue {
            let part = JSONObject([("type", .string(type)), (key, .string(text))])
            return ["type": "message", "role": "assistant", "content": [.object(part)]]
        }
        let messages =
            texts.map { ($0, message("output_text", "text", $1)) }
            + refusals.filter { texts[$0.key] == nil }.map { ($0, message("refusal", "refusal", $1)) }
        let cut = arguments.compactMap { index, text -> (UInt64, JSONValue)? in
            guard var call = calls[index] else { return nil }
            call[call["type"] == "custom_tool_call" ? "input" : "arguments"] = .string(text)
            return (index, .object(call))
        }
        return (messages + cut).filter { !whole.contains($0.0) }.map { index, item in
            ["type": "response.output_item.done", "output_index": JSONValue(count: index), "item": item]
        }
    }

    func add(to body: inout JSONObject) {
        if !thoughts.isEmpty { body["reasoning_content"] = .string(thoughts) }
        if let error, body["error"]?.nonNull == nil { body["error"] = error }
        if let promptFeedback { body["promptFeedback"] = promptFeedback }
        // Where a stream broke off is no reason to finish.
        if surface == .openAIResponses, ["in_progress", "queued"].contains(body["status"]) { body["status"] = nil }
        guard surface == .openAIChat, !refusal.isEmpty || !transcript.isEmpty else { return }
        var choices = body["choices"]?.arrayValue ?? []
        guard var choice = choices.first?.objectValue, var message = choice["message"]?.objectValue else { return }
        if !refusal.isEmpty { message["refusal"] = .string(refusal) }
        if !transcript.isEmpty { message["audio"] = ["transcript": .string(transcript)] }
        choice["message"] = .object(message)
        choices[0] = .object(choice)
        body["choices"] = .array(choices)
    }

    /// What an event says of a failure: an error in the place of an answer, or an event of that type.
    static func error(in event: JSONValue) -> JSONValue? {
        if let error = ProviderError.value(in: event) { return error }
        guard event["type"] == "error", let object = event.objectValue, object["message"] != nil else { return nil }
        return .object(object.filtered { object.members[$0].key != "type" })
    }
}
