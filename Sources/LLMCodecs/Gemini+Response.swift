package import ATOF

extension Gemini {
    /// Only the first candidate counts.
    ///
    /// - Throws: `CodecError` when a member has the wrong type or a part breaks the rules of contents.
    package static func response(
        _ body: JSONValue, _ compatibility: Compatibility = .skein
    ) throws(CodecError) -> NormalizedResponse {
        var reader = try MemberReader(body, "the body", rejecting: .internal)
        let id = try reader.string("responseId")
        let model = try reader.string("modelVersion")
        // The types of everything are checked before the parts of the first candidate.
        let candidates = try (reader.array("candidates") ?? []).map { (element) throws(CodecError) in
            try WireCandidate(element)
        }
        var thoughts = JSONObject()
        let usage = try reader.object("usageMetadata").map { (object) throws(CodecError) in
            try counts(of: object, thoughts: &thoughts)
        }
        let candidate =
            try candidates.first.map { (first) throws(CodecError) in
                try self.candidate(first, compatibility)
            } ?? Candidate()
        var specific = candidate.specific
        for member in thoughts { specific[member.key] = member.value }
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

    private static func candidate(
        _ first: WireCandidate, _ compatibility: Compatibility
    ) throws(CodecError) -> Candidate {
        var candidate = Candidate()
        let parts = try first.parts.compactMap(readable).map { (part) throws(CodecError) in try Part(part) }
        guard !parts.contains(where: \.isResponse) else {
            throw CodecError(.invalidArgument, "a response must not hold a functionResponse")
        }
        candidate.message = visibleContent(parts)
        candidate.toolCalls = try calls(of: parts, compatibility)
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

    /// Of a thought only its call, whatever else it has: nobody reads the rest, so nothing can be wrong with it.
    private static func readable(_ part: JSONValue) -> JSONValue? {
        guard part["thought"] == true, part["functionResponse"] == nil else { return part }
        return part["functionCall"].map { ["functionCall": $0, "thought": true] }
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
