package import ATOF

/// Events of OCI Generative AI to one response, in the form of the format that the stream has.
package struct OCIStream: StreamAggregator {
    private var modelID: String?
    private var usage: JSONValue?
    private var format: String?
    private var inferredFormat: String?
    /// What the format COHERE says.
    private var text = ""
    private var finishReason: String?
    /// What the other formats say. Both are collected, because the format can be told after the first texts.
    private var choices: [UInt64: OCIStreamChoice] = [:]

    package init() {}

    package mutating func receive(_ event: JSONValue) {
        let content = event["chatResponse"]?.objectValue ?? event.objectValue ?? JSONObject()
        if let id = event["modelId"]?.stringValue ?? content["modelId"]?.stringValue { modelID = id }
        if let counts = content["usage"]?.nonNull ?? event["usage"]?.nonNull { usage = counts }
        if format == nil { format = content["apiFormat"]?.stringValue?.asciiUppercased }
        let hasChoice = ["message", "choices", "index"].contains { content[$0] != nil }
        if inferredFormat == nil {
            inferredFormat = hasChoice ? "GENERIC" : content["text"] == nil ? nil : "COHERE"
        }
        let reason = content["finishReason"]?.stringValue
        if let piece = content["text"]?.stringValue {
            // The last event repeats the whole text.
            if content["finishReason"]?.nonNull != nil, !piece.isEmpty { text = piece } else { text += piece }
        }
        if let reason { finishReason = reason }
        if let elements = content["choices"]?.arrayValue {
            for choice in elements.compactMap(\.objectValue) { add(choice) }
        } else if hasChoice || reason != nil {
            add(content)
        }
    }

    private mutating func add(_ choice: JSONObject) {
        choices[choice["index"]?.uint64Value ?? 0, default: OCIStreamChoice()].receive(choice)
    }

    package var body: JSONValue {
        let format = format ?? inferredFormat ?? "GENERIC"
        var response = JSONObject([("apiFormat", .string(format))])
        response["usage"] = usage
        let ordered = choices.sorted { $0.key < $1.key }
        switch format {
        case "COHERE":
            response["text"] = .string(text)
            response["finishReason"] = finishReason.map { .string($0) }
        case "COHEREV2":
            response["message"] = ordered.first?.value.message(nestsFunctions: true)
            response["finishReason"] = ordered.first?.value.finishReason.map { .string($0) }
        default:
            response["choices"] = .array(
                ordered.map { index, choice in
                    var object = JSONObject([
                        ("index", JSONValue(count: index)), ("message", choice.message(nestsFunctions: false)),
                    ])
                    object["finishReason"] = choice.finishReason.map { .string($0) }
                    return .object(object)
                })
        }
        var body = JSONObject([("chatResponse", .object(response))])
        body["modelId"] = modelID.map { .string($0) }
        return .object(body)
    }
}
