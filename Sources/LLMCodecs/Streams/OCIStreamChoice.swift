internal import ATOF

/// One choice of a streamed OCI response.
struct OCIStreamChoice: Sendable {
    private(set) var finishReason: String?
    private var role: String?
    private var parts: [JSONObject] = []
    /// The text of the last part, if it is one of text.
    private var openText: String?
    private var calls: [Call] = []
    /// Where the calls with ids are.
    private var places: [String: Int] = [:]

    fileprivate struct Call {
        var id: String?
        var type: String?
        var name: String?
        var arguments = ""
    }

    mutating func receive(_ choice: JSONObject) {
        if let reason = choice["finishReason"]?.stringValue { finishReason = reason }
        guard let message = choice["message"] else { return }
        if let word = message["role"]?.stringValue { role = word }
        switch message["content"] {
        case .string(let text)?: append(["type": "TEXT", "text": .string(text)])
        case .array(let elements)?: for element in elements { append(element) }
        default: break
        }
        for (position, call) in (message["toolCalls"]?.arrayValue ?? []).enumerated() {
            guard let call = call.objectValue else { continue }
            let id = call["id"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
            let known = id.map { places[$0] } ?? (position < calls.count ? position : nil)
            let index = known ?? calls.count
            if known == nil {
                calls.append(Call(id: id))
                if let id { places[id] = index }
            }
            calls[index].receive(call)
        }
    }

    private mutating func append(_ value: JSONValue) {
        guard var part = value.objectValue else { return }
        let text = part["type"] == "TEXT" ? part["text"]?.stringValue ?? "" : nil
        if let text, openText != nil {
            openText?.append(text)
        } else {
            closeText()
            openText = text
            if text != nil { part["text"] = nil }
            parts.append(part)
        }
    }

    private mutating func closeText() {
        if let openText { parts[parts.count - 1]["text"] = .string(openText) }
        openText = nil
    }

    /// - Parameter nestsFunctions: whether a call has its name and arguments in `function`, as in COHEREV2.
    func message(nestsFunctions: Bool) -> JSONValue {
        var whole = self
        whole.closeText()
        let content = whole.parts.filter { $0["type"] != "TEXT" || $0["text"] != "" }
        var message = JSONObject([
            ("content", .array(content.map { .object($0) })), ("role", .string(role ?? "ASSISTANT")),
        ])
        if !calls.isEmpty {
            message["toolCalls"] = .array(calls.map { .object($0.members(nestsFunctions: nestsFunctions)) })
        }
        return .object(message)
    }
}

extension OCIStreamChoice.Call {
    mutating func receive(_ call: JSONObject) {
        if let type = call["type"]?.stringValue { self.type = type }
        let function = call["function"]?.objectValue ?? call
        if let name = function["name"]?.stringValue { self.name = name }
        switch function["arguments"] {
        case .string(let text)?: arguments += text
        case nil, .null?: break
        case let value?: arguments += value.compactText
        }
    }

    func members(nestsFunctions: Bool) -> JSONObject {
        var function = JSONObject([("arguments", .string(arguments))])
        function["name"] = name.map { .string($0) }
        var call = nestsFunctions ? JSONObject([("function", .object(function))]) : function
        call["type"] = .string(type ?? "FUNCTION")
        call["id"] = id.map { .string($0) }
        return call
    }
}
