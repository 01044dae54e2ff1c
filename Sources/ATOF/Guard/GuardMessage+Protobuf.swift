internal import CProtobufC
internal import CSkeinProto

extension GuardQuestion {
    /// Reads a packed `skein.v1.GuardRequest`.
    ///
    /// - Parameter kind: what the subject says.
    /// - Throws: `GuardMessageError` that names the field.
    package init(packed bytes: [UInt8], kind: Kind) throws(GuardMessageError) {
        try GuardMessageError.checkFieldCount(bytes)
        guard
            let message = bytes.withUnsafeBufferPointer({ buffer in
                skein__v1__guard_request__unpack(nil, buffer.count, buffer.baseAddress)
            })
        else { throw GuardMessageError("", "the \(bytes.count) bytes are no packed skein.v1.GuardRequest") }
        defer { skein__v1__guard_request__free_unpacked(message, nil) }
        let fields = message.pointee
        let call: Call
        switch kind {
        case .tool:
            guard let arguments = try GuardMessageError.json(fields.arguments, "arguments") else {
                throw GuardMessageError("arguments", "is missing; send null for a tool without any")
            }
            call = .tool(arguments: arguments)
        case .llm:
            guard let content = try GuardMessageError.json(fields.content, "content") else {
                throw GuardMessageError("content", "is missing")
            }
            let headers = try GuardMessageError.json(fields.headers, "headers")?.nonNull ?? .object(JSONObject())
            guard case .object(let headers) = headers else { throw GuardMessageError("headers", "must be an object") }
            call = .llm(headers: headers, content: content)
        }
        guard let name = try GuardMessageError.text(fields.name, "name") else {
            throw GuardMessageError("name", "is missing")
        }
        self.init(name: name, call: call)
        agent = try GuardMessageError.text(fields.agent, "agent")
        callID = try GuardMessageError.text(fields.call_id, "call_id")
        trajectory = try GuardMessageError.uuid(fields.trajectory, "trajectory")
        parent = try GuardMessageError.uuid(fields.parent, "parent")
    }

    package var packed: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendField(1, bytes: name.utf8)
        if let agent { bytes.appendField(2, bytes: agent.utf8) }
        if let trajectory { bytes.appendField(3, uuid: trajectory) }
        if let parent { bytes.appendField(4, uuid: parent) }
        if let callID { bytes.appendField(5, bytes: callID.utf8) }
        call.append(to: &bytes)
        return bytes
    }
}

extension GuardQuestion.Call {
    /// Fields 6 to 8, of requests and of answers.
    fileprivate func append(to bytes: inout [UInt8]) {
        switch self {
        case .tool(let arguments): bytes.appendField(6, bytes: arguments.compactText.utf8)
        case .llm(let headers, let content):
            bytes.appendField(7, bytes: JSONValue.object(headers).compactText.utf8)
            bytes.appendField(8, bytes: content.compactText.utf8)
        }
    }
}

extension GuardReply {
    package var packed: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendField(1, varint: UInt64(decision.number.rawValue))
        for evaluation in evaluations {
            var packed: [UInt8] = []
            packed.appendField(1, bytes: evaluation.name.utf8)
            switch evaluation.outcome {
            case .allowed: packed.appendField(2, varint: UInt64(GuardReply.allow.rawValue))
            case .rejected(let reason):
                packed.appendField(2, varint: UInt64(GuardReply.reject.rawValue))
                packed.appendField(3, bytes: reason.utf8)
            case .failed(let error):
                packed.appendField(2, varint: UInt64(GuardReply.error.rawValue))
                packed.appendField(3, bytes: error.utf8)
            }
            bytes.appendField(2, bytes: packed)
        }
        switch decision {
        case .allow: break
        case .reject(let rule, let reason):
            bytes.appendField(3, bytes: rule.utf8)
            bytes.appendField(4, bytes: reason.utf8)
        case .transform(let call): call.append(to: &bytes)
        case .error(let failure):
            bytes.appendField(4, bytes: failure.message.utf8)
            bytes.appendField(5, bytes: failure.code.rawValue.utf8)
        }
        return bytes
    }

    /// - Throws: `GuardMessageError`; an answer that cannot be read allows nothing.
    package init(packed bytes: [UInt8]) throws(GuardMessageError) {
        try GuardMessageError.checkFieldCount(bytes)
        guard
            let message = bytes.withUnsafeBufferPointer({ buffer in
                skein__v1__guard_answer__unpack(nil, buffer.count, buffer.baseAddress)
            })
        else { throw GuardMessageError("", "the \(bytes.count) bytes are no packed skein.v1.GuardAnswer") }
        defer { skein__v1__guard_answer__free_unpacked(message, nil) }
        let fields = message.pointee
        let reason = try GuardMessageError.unlimited(fields.reason, "reason")
        let decision: Decision
        switch fields.decision {
        case GuardReply.allow: decision = .allow
        case GuardReply.reject:
            decision = .reject(rule: try GuardMessageError.unlimited(fields.rule, "rule"), reason: reason)
        case SKEIN__V1__GUARD_DECISION__GUARD_DECISION_TRANSFORM:
            if let arguments = try GuardMessageError.json(fields.arguments, "arguments") {
                decision = .transform(.tool(arguments: arguments))
            } else if let content = try GuardMessageError.json(fields.content, "content"),
                let headers = try GuardMessageError.json(fields.headers, "headers")?.objectValue
            {
                decision = .transform(.llm(headers: headers, content: content))
            } else {
                throw GuardMessageError("decision", "is transform, but neither arguments nor content are there")
            }
        case GuardReply.error:
            let text = try GuardMessageError.unlimited(fields.error_code, "error_code")
            guard let code = GuardFailure.Code(rawValue: text) else {
                throw GuardMessageError("error_code", "is not one of the known codes")
            }
            decision = .error(GuardFailure(code, reason))
        default: throw GuardMessageError("decision", "is \(fields.decision.rawValue), known are 1 to 4")
        }
        var evaluations: [Evaluation] = []
        for index in 0..<fields.n_evaluations {
            guard let evaluation = fields.evaluations[index]?.pointee else { continue }
            let reason = try GuardMessageError.unlimited(evaluation.reason, "evaluations.reason")
            let outcome: Evaluation.Outcome
            switch evaluation.decision {
            case GuardReply.allow: outcome = .allowed
            case GuardReply.reject: outcome = .rejected(reason: reason)
            case GuardReply.error: outcome = .failed(reason)
            default: throw GuardMessageError("evaluations.decision", "must be allow, reject or error")
            }
            evaluations.append(
                Evaluation(name: try GuardMessageError.unlimited(evaluation.name, "evaluations.name"), outcome: outcome)
            )
        }
        self.init(decision, evaluations: evaluations)
    }

    fileprivate static let allow = SKEIN__V1__GUARD_DECISION__GUARD_DECISION_ALLOW
    fileprivate static let reject = SKEIN__V1__GUARD_DECISION__GUARD_DECISION_REJECT
    fileprivate static let error = SKEIN__V1__GUARD_DECISION__GUARD_DECISION_ERROR
}

extension GuardReply.Decision {
    fileprivate var number: Skein__V1__GuardDecision {
        switch self {
        case .allow: GuardReply.allow
        case .reject: GuardReply.reject
        case .transform: SKEIN__V1__GUARD_DECISION__GUARD_DECISION_TRANSFORM
        case .error: GuardReply.error
        }
    }
}

extension GuardMessageError {
    /// More than any message has: protobuf-c takes memory for each field, known or not.
    private static let maximumFields = 4096

    fileprivate static func checkFieldCount(_ bytes: [UInt8]) throws(GuardMessageError) {
        let count = bytes.withUnsafeBufferPointer { PackedFieldCount.ofMessage($0, limit: maximumFields) }
        if count > maximumFields { throw GuardMessageError("", "there are more than \(maximumFields) protobuf fields") }
    }

    fileprivate static func unlimited(_ data: ProtobufCBinaryData, _ field: String) throws(GuardMessageError) -> String
    {
        guard let text = String(validating: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self)
        else { throw GuardMessageError(field, "is not UTF-8") }
        return text
    }

    fileprivate static func text(_ data: ProtobufCBinaryData, _ field: String) throws(GuardMessageError) -> String? {
        try checked(try unlimited(data, field), field)
    }

    fileprivate static func json(_ data: ProtobufCBinaryData, _ field: String) throws(GuardMessageError) -> JSONValue? {
        if data.len == 0 { return nil }
        let text = UnsafeBufferPointer(start: UnsafePointer(data.data), count: data.len)
        let value: JSONValue
        do throws(JSONRefusal) {
            value = try JSONParser.parse(text)
        } catch {
            throw GuardMessageError(field, "is no JSON that can be read (\(error))")
        }
        try checkMembers(text, value, field)
        return value
    }

    fileprivate static func uuid(_ data: ProtobufCBinaryData, _ field: String) throws(GuardMessageError) -> EventUUID? {
        if data.len == 0 { return nil }
        guard let uuid = BatchStorage.uuid(data) else {
            throw GuardMessageError(field, "has \(data.len) bytes, a UUID has 16")
        }
        return uuid
    }
}
