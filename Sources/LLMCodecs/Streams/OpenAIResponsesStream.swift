package import ATOF

/// Events of the Responses API to one response: the snapshot of the end, else the last one, and the items if it has none.
package struct OpenAIResponsesStream: StreamAggregator {
    private var snapshot = JSONObject()
    private var items: [UInt64: JSONValue] = [:]
    /// Whether the snapshot is that of the end, which nothing replaces.
    package private(set) var isComplete = false

    package init() {}

    package mutating func receive(_ event: JSONValue) {
        switch event["type"]?.stringValue {
        case "response.created", "response.in_progress": replaceSnapshot(by: event, isEnd: false)
        case "response.completed", "response.failed", "response.incomplete": replaceSnapshot(by: event, isEnd: true)
        case "response.output_item.added", "response.output_item.done":
            guard let index = event["output_index"]?.uint64Value, let item = event["item"] else { return }
            items[index] = item
        default: break
        }
    }

    private mutating func replaceSnapshot(by event: JSONValue, isEnd: Bool) {
        guard !isComplete, let response = event["response"]?.objectValue else { return }
        snapshot = response
        isComplete = isEnd
    }

    package var body: JSONValue {
        var body = snapshot
        if body["output"]?.arrayValue?.isEmpty ?? true, !items.isEmpty {
            body["output"] = .array(items.sorted { $0.key < $1.key }.map(\.value))
        }
        return .object(body)
    }
}
