package import ATOF

extension Gemini {
    /// Only the first candidate counts.
    ///
    /// - Throws: `CodecError` when a member has the wrong type or a part breaks the rules of contents.
    package static func response(_ body: JSONValue) throws(CodecError) -> NormalizedResponse {
        var reader = try MemberReader(body, "the body", rejecting: .internal)
        let id = try reader.string("responseId")
        let model = try reader.string("modelVersion")
        let candidate = try candidate(&reader)
        var specific = candidate.specific
        let usage = try reader.object("usageMetadata").map { (object) throws(CodecError) in
            try counts(of: object, thoughts: &specific)
        }
        if !specific.isEmpty { specific["api"] = .string(name) }
        let blocked = try blockReason(body["promptFeedback"])
        return NormalizedResponse(
            id: id, model: model, message: candidate.message,
            toolCalls: candidate.toolCalls.isEmpty ? nil : candidate.toolCalls,
            finishReason: candidate.finishReason ?? blocked, usage: usage,
            apiSpecific: specific.isEmpty ? nil : specific, extra: reader.rest)
    }

    private struct Candidate {
        var message: MessageContent?
        var toolCalls: [ToolCall] = []
        var finishReason: FinishReason?
        var specific = JSONObject()
    }

    private static let specificKeys = [
        "safetyRatings": "safety_ratings", "groundingMetadata": "grounding_metadata",
        "citationMetadata": "citation_metadata",
    ]

    private static func candidate(_ reader: inout MemberReader) throws(CodecError) -> Candidate {
        var candidate = Candidate()
        let elements = try reader.array("candidates") ?? []
        // The types of all of them are checked, the parts of the first alone.
        let checked = try elements.map { (element) throws(CodecError) in try WireCandidate(element) }
        guard let first = checked.first else { return candidate }
        let parts = try first.parts.filter { !isIgnored($0) }.map { (part) throws(CodecError) in try Part(part) }
        guard !parts.contains(where: \.isResponse) else {
            throw CodecError(.invalidArgument, "a response must not hold a functionResponse")
        }
        candidate.message = visibleContent(parts)
        candidate.toolCalls = try calls(of: parts)
        candidate.finishReason = finishReason(first.finishReason ?? "", hasCalls: !candidate.toolCalls.isEmpty)
        for member in first.rest where member.key != "api" {
            candidate.specific[specificKeys[member.key] ?? member.key] = member.value
        }
        return candidate
    }

    /// A candidate as it came.
    private struct WireCandidate {
        let finishReason: String?
        let parts: [JSONValue]
        let rest: JSONObject

        init(_ value: JSONValue) throws(CodecError) {
            var reader = try MemberReader(value, "a candidate", rejecting: .internal)
            finishReason = try reader.string("finishReason")
            if let content = try reader.object("content") {
                var content = MemberReader(content, rejecting: .internal)
                parts = try content.array("parts") ?? []
            } else {
                parts = []
            }
            rest = reader.rest
        }
    }

    /// A thought, whatever else it has: nobody reads it, so nothing can be wrong with it.
    private static func isIgnored(_ part: JSONValue) -> Bool {
        part["thought"] == true && part["functionCall"] == nil && part["functionResponse"] == nil
    }

    private static func finishReason(_ word: String, hasCalls: Bool) -> FinishReason? {
        switch word {
        case "", "FINISH_REASON_UNSPECIFIED": hasCalls ? .toolUse : nil
        case "STOP": hasCalls ? .toolUse : .complete
        case "MAX_TOKENS": .length
        case "TOOL_CODE": .toolUse
        case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION":
            .contentFilter
        default: .unknown(word)
        }
    }

    /// Why the prompt was refused, if it was.
    private static func blockReason(_ feedback: JSONValue?) throws(CodecError) -> FinishReason? {
        guard let feedback else { return nil }
        var reader = try MemberReader(feedback, "promptFeedback", rejecting: .invalidArgument)
        switch try reader.strict("blockReason", "a string", \.stringValue) {
        case nil, "", "BLOCK_REASON_UNSPECIFIED": return nil
        case "SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY": return .contentFilter
        case let word?: return .unknown(word)
        }
    }

    /// - Parameter thoughts: receives the count of thinking, which the common form does not have.
    private static func counts(of object: JSONObject, thoughts: inout JSONObject) throws(CodecError) -> Usage {
        var reader = MemberReader(object, rejecting: .internal)
        var usage = Usage()
        usage.promptTokens = try reader.unsigned("promptTokenCount")
        usage.completionTokens = try reader.unsigned("candidatesTokenCount")
        usage.cacheReadTokens = try reader.unsigned("cachedContentTokenCount")
        let thinking = try reader.unsigned("thoughtsTokenCount")
        let known = [usage.promptTokens, usage.completionTokens, thinking].compactMap(\.self)
        usage.totalTokens =
            try reader.unsigned("totalTokenCount")
            ?? (known.isEmpty ? nil : known.reduce(0) { $0.addingSaturating($1) })
        thoughts["thoughts_tokens"] = thinking.map(JSONValue.init(count:))
        usage.deriveUncachedInput()
        return usage
    }
}
