internal import ATOF

/// Gemini generateContent (`codecs-and-pricing.md` 2.7). Explicit nulls are refused here nearly everywhere.
package enum Gemini {
    static let name = Surface.gemini.rawValue

    static func native(kind: String?, _ value: JSONValue) -> NativeValue {
        NativeValue(provider: "gemini", kind: kind ?? "unknown", value: value)
    }

    /// A part of a content, checked: an object with at most one member of data.
    struct Part {
        /// The members that say what a part holds.
        private static let dataKeys = [
            "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode",
            "codeExecutionResult",
        ]

        let members: JSONObject
        /// Which member of data it has.
        let dataKey: String?

        /// - Throws: `CodecError` when the value is no object, or one with several members of data.
        init(_ value: JSONValue) throws(CodecError) {
            guard let members = value.objectValue else {
                throw CodecError(.invalidArgument, "a part must be an object")
            }
            let keys = Part.dataKeys.filter { members[$0] != nil }
            guard keys.count <= 1 else {
                throw CodecError(.invalidArgument, "a part must not have both \(keys[0]) and \(keys[1])")
            }
            if keys.first == "text", members["text"]?.stringValue == nil {
                throw CodecError(.invalidArgument, "text must be a string")
            }
            self.members = members
            dataKey = keys.first
        }

        var isThought: Bool { members["thought"] == true }
        var isCall: Bool { dataKey == "functionCall" }
        var isResponse: Bool { dataKey == "functionResponse" }
        /// Whether it belongs to what a reader of the message sees.
        var isVisible: Bool { !isThought && !isCall && !isResponse }
        /// The text of a part that has nothing else.
        var bareText: String? { members.count == 1 ? members["text"]?.stringValue : nil }

        var contentPart: ContentPart {
            guard let text = members["text"] else {
                return ContentPart(native: native(kind: dataKey, .object(members)))
            }
            var extra = members
            extra["text"] = nil
            return ContentPart(.text, text, extra: extra)
        }

        /// The call of a part with one.
        ///
        /// - Throws: `CodecError` when the name is missing, or the arguments are no object.
        func call() throws(CodecError) -> ToolCall {
            var reader = try MemberReader(members["functionCall"], "functionCall", rejecting: .invalidArgument)
            let (id, name) = try Gemini.identity(&reader)
            let arguments = try reader.strict("args", "an object", \.objectValue) ?? JSONObject()
            return ToolCall(id: id, name: name, arguments: .object(arguments))
        }
    }

    /// What a reader sees of a content: one text when there are only bare texts, else parts. Nil when there is nothing.
    static func visibleContent(_ parts: [Part]) -> MessageContent? {
        let visible = parts.filter(\.isVisible)
        if visible.isEmpty { return nil }
        let texts = visible.compactMap(\.bareText)
        if texts.count == visible.count { return .text(texts.joined(separator: "\n")) }
        return .parts(visible.map(\.contentPart))
    }

    /// The calls of a content. Gemini gives them no ids as a rule, so several of one function have one id, its name.
    ///
    /// - Throws: `CodecError` when one is malformed.
    static func calls(of parts: [Part], _ compatibility: Compatibility) throws(CodecError) -> [ToolCall] {
        let calls = try parts.filter(\.isCall).map { (part) throws(CodecError) in try part.call() }
        try refuseRepeatedIDs(calls.lazy.map(\.id), compatibility)
        return calls
    }

    /// The reference refuses contents in which two calls, or two results, have one id.
    static func refuseRepeatedIDs(
        _ ids: some Sequence<String>, _ compatibility: Compatibility
    ) throws(CodecError) {
        guard compatibility == .strict else { return }
        var known: Set<String> = []
        for id in ids where !known.insert(id).inserted {
            throw CodecError(.invalidArgument, "calls and results of one content must have different ids")
        }
    }

    /// The id of a call or a response, which is the name when it has none.
    static func identity(_ reader: inout MemberReader) throws(CodecError) -> (id: String, name: String) {
        guard let name = try reader.strict("name", "a string", \.stringValue), !name.isEmpty else {
            throw CodecError(reader.kind, "name must be a string that is not empty")
        }
        guard let id = try reader.strict("id", "a string", \.stringValue) else { return (name, name) }
        guard !id.isEmpty else { throw CodecError(reader.kind, "id must not be empty") }
        return (id, name)
    }
}
