internal import ATOF

extension Gemini {
    /// Messages that are unchanged at both ends keep their contents; those between are written anew, with what their originals have
    /// beside the text, the calls and the results.
    static func encodeContents(_ editor: inout BodyEditor) throws(CodecError) {
        let edited = editor.edited.messages.filter { $0.role != .system }
        let baseline = editor.baseline.messages.filter { $0.role != .system }
        guard edited != baseline else { return }
        // What was not decoded content by content is written anew.
        let decoded = try contents(in: editor.body["contents"]?.arrayValue ?? [], decodedTo: baseline)
        let originals = decoded ?? []
        let unchanged = decoded == nil ? [] : baseline
        let limit = min(edited.count, unchanged.count)
        let prefix = zip(edited, unchanged).prefix { $0 == $1 }.count
        let suffix = zip(edited.reversed(), unchanged.reversed()).prefix(limit - prefix).prefix { $0 == $1 }.count
        // A content with several messages is kept only as a whole: the place of each content's first message, and the end.
        let starts = originals.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.messages.count) }
        let head = (starts.lastIndex { $0 <= prefix }) ?? 0
        let tail = max(head, starts.firstIndex { $0 >= unchanged.count - suffix } ?? originals.count)
        let middle = edited[starts[head]..<(edited.count - (unchanged.count - starts[tail]))]
        let rewriting = GeminiRewriting(
            Array(middle), of: Array(originals[head..<tail]), functions: functionNames(in: edited))
        editor.body["contents"] = .array(
            originals[..<head].map(\.value) + (try rewriting.contents()) + originals[tail...].map(\.value))
    }

    /// The contents with the messages that each was decoded to; nil if the messages are not theirs.
    private static func contents(
        in values: [JSONValue], decodedTo messages: [Message]
    ) throws(CodecError) -> [GeminiRewriting.Original]? {
        var rest = messages[...]
        var contents: [GeminiRewriting.Original] = []
        for value in values {
            let parts = try (value["parts"]?.arrayValue ?? []).map { (part) throws(CodecError) in try Part(part) }
            let count = max(1, parts.count { $0.isResponse })
            guard count <= rest.count else { return nil }
            contents.append(.init(value: value, parts: parts, messages: Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        }
        return rest.isEmpty ? contents : nil
    }

    /// The functions that were called, by the ids of the calls.
    private static func functionNames(in messages: [Message]) -> [String: String] {
        var names: [String: String] = [:]
        for call in messages.lazy.compactMap(\.toolCalls).joined() { names[call.id] = call.name }
        return names
    }
}
