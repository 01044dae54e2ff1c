package import ATOF

/// Token counts of one model call (`codecs-and-pricing.md` 1.5). An explicit 0 is a fact; nil means unknown.
package struct Usage: Sendable, Hashable {
    package var promptTokens: UInt64?
    package var completionTokens: UInt64?
    package var totalTokens: UInt64?
    package var cacheReadTokens: UInt64?
    package var cacheWriteTokens: UInt64?
    /// Input that was not read from a cache.
    package var uncachedInputTokens: UInt64?
    package var cost: Cost?

    package init() {}

    /// Sets the input that was not read from a cache, of a provider that counts reads as part of the prompt.
    mutating func deriveUncachedInput() {
        guard let prompt = promptTokens, let read = cacheReadTokens, read <= prompt else { return }
        uncachedInputTokens = prompt - read
    }

    package var json: JSONValue {
        var object = JSONObject()
        object["prompt_tokens"] = promptTokens.map(JSONValue.init(count:))
        object["completion_tokens"] = completionTokens.map(JSONValue.init(count:))
        object["total_tokens"] = totalTokens.map(JSONValue.init(count:))
        object["cache_read_tokens"] = cacheReadTokens.map(JSONValue.init(count:))
        object["cache_write_tokens"] = cacheWriteTokens.map(JSONValue.init(count:))
        object["uncached_input_tokens"] = uncachedInputTokens.map(JSONValue.init(count:))
        object["cost"] = cost?.json
        return .object(object)
    }

    /// Reads the form that annotations have.
    ///
    /// - Throws: `CodecError` when a count is none.
    package init(annotation: JSONObject) throws(CodecError) {
        try self.init(annotation, rejecting: .internal)
    }

    /// Reads the form that annotations have.
    init(_ object: JSONObject, rejecting kind: CodecError.Kind) throws(CodecError) {
        var reader = MemberReader(object, rejecting: kind)
        promptTokens = try reader.unsigned("prompt_tokens")
        completionTokens = try reader.unsigned("completion_tokens")
        totalTokens = try reader.unsigned("total_tokens")
        cacheReadTokens = try reader.unsigned("cache_read_tokens")
        cacheWriteTokens = try reader.unsigned("cache_write_tokens")
        uncachedInputTokens = try reader.unsigned("uncached_input_tokens")
        if let object = try reader.object("cost") { cost = try Cost(object, rejecting: kind) }
    }
}

extension JSONValue {
    /// A count as an integer.
    package init(count: UInt64) {
        self = Int64(exactly: count).map { .int($0) } ?? .unsigned(count)
    }
}

extension UInt64 {
    /// The sum, or the largest value when it does not fit.
    func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
