extension GuardQuestion {
    /// Reads the JSON form.
    ///
    /// - Parameter kind: what the subject says.
    /// - Throws: `GuardMessageError` that names the field.
    package init(json bytes: [UInt8], kind: Kind) throws(GuardMessageError) {
        let object = try GuardMessageError.object(bytes)
        let call: Call
        switch kind {
        case .tool:
            // Left out by mistake it would pass every rule on arguments.
            guard let arguments = object["arguments"] else {
                throw GuardMessageError("arguments", "is missing; send null for a tool without any")
            }
            call = .tool(arguments: arguments)
        case .llm:
            guard let request = object["request"]?.objectValue else {
                throw GuardMessageError("request", "must be an object with headers and content")
            }
            guard let content = request["content"] else { throw GuardMessageError("request.content", "is missing") }
            let headers = request["headers"]?.nonNull ?? .object(JSONObject())
            guard case .object(let headers) = headers else {
                throw GuardMessageError("request.headers", "must be an object")
            }
            call = .llm(headers: headers, content: content)
        }
        guard let name = try GuardMessageError.text(object, "name") else {
            throw GuardMessageError("name", "is missing")
        }
        self.init(name: name, call: call)
        agent = try GuardMessageError.text(object, "agent")
        callID = try GuardMessageError.text(object, "call_id")
        trajectory = try GuardMessageError.uuid(object, "trajectory")
        parent = try GuardMessageError.uuid(object, "parent")
    }

    package var json: [UInt8] {
        var object = call.jsonMembers
        object["name"] = .string(name)
        if let agent { object["agent"] = .string(agent) }
        if let callID { object["call_id"] = .string(callID) }
        if let trajectory { object["trajectory"] = .string("\(trajectory)") }
        if let parent { object["parent"] = .string("\(parent)") }
        return Array(JSONValue.object(object).compactText.utf8)
    }
}

extension GuardQuestion.Call {
    fileprivate var jsonMembers: JSONObject {
        switch self {
        case .tool(let arguments): JSONObject([("arguments", arguments)])
        case .llm(let headers, let content):
            JSONObject([("request", ["headers": .object(headers), "content": content])])
        }
    }

    fileprivate init?(jsonMembers object: JSONObject) {
        if let arguments = object["arguments"] {
            self = .tool(arguments: arguments)
        } else if let request = object["request"], let headers = request["headers"]?.objectValue,
            let content = request["content"]
        {
            self = .llm(headers: headers, content: content)
        } else {
            return nil
        }
    }
}

extension GuardReply {
    package var json: [UInt8] {
        var object: JSONObject
        switch decision {
        case .allow: object = JSONObject([("decision", "allow")])
        case .reject(let rule, let reason):
            object = JSONObject([("decision", "reject"), ("rule", .string(rule)), ("reason", .string(reason))])
        case .transform(let call):
            object = call.jsonMembers
            object["decision"] = "transform"
        case .error(let failure):
            object = JSONObject([
                ("decision", "error"), ("code", .string(failure.code.rawValue)), ("message", .string(failure.message)),
            ])
        }
        object["evaluations"] = .array(
            evaluations.map { ["name": .string($0.name), "data": $0.outcome.data] })
        return Array(JSONValue.object(object).compactText.utf8)
    }

    /// - Throws: `GuardMessageError`; an answer that cannot be read allows nothing.
    package init(json bytes: [UInt8]) throws(GuardMessageError) {
        let object = try GuardMessageError.object(bytes)
        let decision: Decision
        switch object["decision"]?.stringValue {
        case "allow"?: decision = .allow
        case "reject"?:
            decision = .reject(
                rule: object["rule"]?.stringValue ?? "", reason: object["reason"]?.stringValue ?? "")
        case "transform"?:
            guard let call = GuardQuestion.Call(jsonMembers: object) else {
                throw GuardMessageError("decision", "is transform, but neither arguments nor request are there")
            }
            decision = .transform(call)
        case "error"?:
            guard let code = object["code"]?.stringValue.flatMap(GuardFailure.Code.init) else {
                throw GuardMessageError("code", "is not one of the known codes")
            }
            decision = .error(GuardFailure(code, object["message"]?.stringValue ?? ""))
        case nil, _?: throw GuardMessageError("decision", "must be allow, reject, transform or error")
        }
        var evaluations: [Evaluation] = []
        for element in object["evaluations"]?.arrayValue ?? [] {
            guard let name = element["name"]?.stringValue, let data = element["data"],
                let outcome = Evaluation.Outcome(data: data)
            else { throw GuardMessageError("evaluations", "must have name and data") }
            evaluations.append(Evaluation(name: name, outcome: outcome))
        }
        self.init(decision, evaluations: evaluations)
    }
}

extension GuardReply.Evaluation.Outcome {
    /// The `data` of the guardrail scope's end, in the reference's shape.
    package var data: JSONValue {
        switch self {
        case .allowed: ["allowed": true, "rejected": false]
        case .rejected(let reason): ["allowed": false, "rejected": true, "rejection_reason": .string(reason)]
        case .failed(let error): ["allowed": false, "error": .string(error)]
        }
    }

    fileprivate init?(data: JSONValue) {
        switch (data["allowed"]?.boolValue, data["rejected"]?.boolValue) {
        case (true?, _): self = .allowed
        case (false?, true?): self = .rejected(reason: data["rejection_reason"]?.stringValue ?? "")
        case (false?, _): self = .failed(data["error"]?.stringValue ?? "")
        case (nil, _): return nil
        }
    }
}

extension GuardMessageError {
    static func object(_ bytes: [UInt8]) throws(GuardMessageError) -> JSONObject {
        let value: JSONValue
        do throws(JSONRefusal) {
            value = try JSONParser.parse(bytes)
        } catch {
            throw GuardMessageError("", "the \(bytes.count) bytes are no JSON that can be read (\(error))")
        }
        try bytes.withUnsafeBufferPointer { bytes throws(GuardMessageError) in try checkMembers(bytes, value, "") }
        guard let object = value.objectValue else { throw GuardMessageError("", "the message is no JSON object") }
        return object
    }

    /// Who makes the call may see another one of two members than the rules do.
    static func checkMembers(
        _ text: UnsafeBufferPointer<UInt8>, _ value: JSONValue, _ field: String
    ) throws(GuardMessageError) {
        if RepeatedMembers.arePresent(in: text, of: value) {
            let what = field.isEmpty ? "the message has" : "has"
            throw GuardMessageError(field, "\(what) an object with a member that is there twice; leave one of them out")
        }
    }

    static func text(_ object: JSONObject, _ key: String) throws(GuardMessageError) -> String? {
        guard let value = object[key]?.nonNull else { return nil }
        guard let text = value.stringValue else { throw GuardMessageError(key, "must be a string") }
        return try checked(text, key)
    }

    static func checked(_ text: String, _ key: String) throws(GuardMessageError) -> String? {
        if text.utf8.count > GuardQuestion.maximumText {
            throw GuardMessageError(
                key, "has \(text.utf8.count) bytes, the most is \(GuardQuestion.maximumText)")
        }
        return text.isEmpty ? nil : text
    }

    static func uuid(_ object: JSONObject, _ key: String) throws(GuardMessageError) -> EventUUID? {
        guard let text = try text(object, key) else { return nil }
        guard let uuid = EventUUID(text) else { throw GuardMessageError(key, "is no UUID") }
        return uuid
    }
}
