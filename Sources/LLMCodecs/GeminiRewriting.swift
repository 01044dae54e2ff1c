internal import ATOF

/// Writes messages as contents of Gemini that take the place of others (`codecs-and-pricing.md` 2.2).
///
/// A message that only moved keeps its content. One that changed keeps what a content has beside it, thoughts and signatures among it,
/// if it is known which content that is: the one with the ids of its calls or of its result, or the only one that is left. Nothing of a
/// result goes into what is none, and the other way about.
struct GeminiRewriting {
    /// A content as it was, with the messages that it was decoded to.
    struct Original {
        let value: JSONValue
        let parts: [Gemini.Part]
        let messages: [Message]

        var role: Message.Role { messages[0].role }
        /// The ids of its calls as one text; nil without any.
        var calls: String? { GeminiRewriting.key(ofCalls: messages[0]) }
    }

    private let originals: [Original]
    /// Messages by the content that they go into: several only of results that were in one.
    private let groups: [[Message]]
    /// Where the content of each group comes from.
    private let sources: [ItemAlignment.Source]
    /// The functions that were called, by the ids of the calls.
    private let functions: [String: String]
    /// Parts of contents that are not kept, by the one call that they make.
    private let calls: [String: Gemini.Part]
    /// Parts of contents that are not kept, by the one call that they answer.
    private let results: [String: Gemini.Part]

    init(_ messages: [Message], of originals: [Original], functions: [String: String]) {
        self.originals = originals
        self.functions = functions
        let places = GeminiRewriting.places(ofResults: messages, in: originals)
        groups = GeminiRewriting.grouped(messages, originals, places)
        sources = GeminiRewriting.sources(of: groups, originals, places)
        let kept = Set(sources.compactMap { if case .original(let place) = $0 { place } else { nil } })
        let replaced = originals.indices.filter { !kept.contains($0) }.map { originals[$0] }
        let written = zip(groups, sources).filter { $1.isWritten }.flatMap(\.0)
        let calledOnce = Dictionary(
            unambiguous: written.flatMap { ($0.toolCalls ?? []).map { ($0.id, ()) } })
        calls = Dictionary(
            unambiguous: replaced.flatMap { original in
                zip(original.messages[0].toolCalls ?? [], original.parts.filter(\.isCall)).map { ($0.id, $1) }
            }
        ).filter { calledOnce[$0.key] != nil }
        results = Dictionary(
            unambiguous: replaced.flatMap { original in
                zip(original.messages, original.parts.filter(\.isResponse)).map { ($0.toolCallID, $1) }
            }
        ).filter { places[$0.key] != nil }
    }

    // MARK: Which content is which

    /// The contents with results of tools, by the ids that one result has before and after.
    private static func places(ofResults messages: [Message], in originals: [Original]) -> [String: Int] {
        let isOnce = Dictionary(unambiguous: messages.filter { $0.role == .tool }.map { ($0.toolCallID, ()) })
        let places = Dictionary(
            unambiguous: originals.indices.filter { originals[$0].role == .tool }.flatMap { place in
                originals[place].messages.map { ($0.toolCallID, place) }
            })
        return places.filter { isOnce[$0.key] != nil }
    }

    /// How many contents that begin alike are tried for one message: results without ids of their own do, and there can be any number.
    private static let attempts = 16

    /// A result goes into a content with the one before it if they were in one; others have contents of their own.
    private static func grouped(
        _ messages: [Message], _ originals: [Original], _ places: [String: Int]
    ) -> [[Message]] {
        var wholes = Dictionary(grouping: originals.map(\.messages).filter { $0.count > 1 }) { $0[0] }
            .mapValues { $0[...] }
        var groups: [[Message]] = []
        var rest = messages[...]
        while let first = rest.first {
            let candidates = wholes[first]?.prefix(attempts)
            if let candidates, let index = candidates.firstIndex(where: { rest.starts(with: $0) }) {
                groups.append(candidates[index])
                rest = rest.dropFirst(candidates[index].count)
                wholes[first] = wholes[first]?[(index + 1)...]
                continue
            }
            rest.removeFirst()
            if first.role == .tool, let place = places[first.toolCallID], let last = groups.last?[0],
                last.role == .tool, places[last.toolCallID] == place
            {
                groups[groups.count - 1].append(first)
            } else {
                groups.append([first])
            }
        }
        return groups
    }

    private static func sources(
        of groups: [[Message]], _ originals: [Original], _ places: [String: Int]
    ) -> [ItemAlignment.Source] {
        var sources = ItemAlignment.sources(of: groups, baseline: originals.map(\.messages), patching: .onePair)
        var rest = Set(originals.indices).subtracting(sources.compactMap(\.place))
        let fresh = { sources.indices.filter { sources[$0] == .fresh } }
        let callers = Dictionary(
            unambiguous: rest.compactMap { place in originals[place].calls.map { ($0, place) } })
        let continued = Dictionary(
            unambiguous: fresh().compactMap { index in
                key(ofCalls: groups[index][0]).flatMap { key in callers[key].map { (key, (index, $0)) } }
            })
        for (index, place) in continued.values { sources[index] = .patched(place) }
        for index in fresh() where groups[index][0].role == .tool {
            if let place = places[groups[index][0].toolCallID] { sources[index] = .patched(place) }
        }
        rest.subtract(sources.compactMap(\.place))
        let isMoved = sources.indices.contains { index in sources[index].place.map { $0 != index } ?? false }
        let left = fresh()
        if !isMoved, left.count == rest.count {
            for (index, place) in zip(left, rest.sorted()) {
                // Of several it is the role that tells whether they belong together.
                if left.count == 1 || groups[index][0].role == originals[place].role {
                    sources[index] = .patched(place)
                }
            }
        }
        return sources.indices.map { index in
            // Contents of results are continued by ids alone.
            guard case .patched(let place) = sources[index] else { return sources[index] }
            let message = groups[index][0]
            if message.role == .tool { return places[message.toolCallID] == place ? sources[index] : .fresh }
            return originals[place].role == .tool ? .fresh : sources[index]
        }
    }

    private static func key(ofCalls message: Message) -> String? {
        guard let calls = message.toolCalls, !calls.isEmpty else { return nil }
        return JSONValue.array(calls.map(\.id).sorted().map { .string($0) }).compactText
    }

    // MARK: Contents

    func contents() throws(CodecError) -> [JSONValue] {
        var contents: [JSONValue] = []
        var continued: Set<Int> = []
        for (group, source) in zip(groups, sources) {
            switch source {
            case .original(let place): contents.append(originals[place].value)
            case .fresh: contents.append(try content(of: group, continuing: nil, isFirst: true))
            case .patched(let place):
                let isFirst = continued.insert(place).inserted
                contents.append(try content(of: group, continuing: originals[place], isFirst: isFirst))
            }
        }
        return contents
    }

    /// - Parameter isFirst: whether no other content continues the original, so that its thoughts go here.
    private func content(
        of group: [Message], continuing original: Original?, isFirst: Bool
    ) throws(CodecError) -> JSONValue {
        for message in group { try Gemini.refuseName(of: message) }
        let message = group[0]
        var content = original?.value.objectValue ?? JSONObject()
        switch message.role {
        case .user, .assistant:
            content["parts"] = .array(try turn(message, continuing: original))
            content["role"] = message.role == .user ? "user" : "model"
        case .tool:
            content["parts"] = .array(try results(group, in: isFirst ? original?.parts ?? [] : []))
            content["role"] = "user"
        case .native: return try BodyEditor.value(of: message.native, provider: "gemini")
        case .system, .developer, .function, .toolCall, .toolResult:
            throw CodecError(.invalidArgument, "a \(message.role.rawValue) message has no place in Gemini")
        }
        return .object(content)
    }

    // MARK: Turns

    /// Text and calls take the places of those that were there; what has no place comes at the end, or before all else if there was
    /// no text.
    private func turn(_ message: Message, continuing original: Original?) throws(CodecError) -> [JSONValue] {
        guard message.role == .assistant || message.toolCalls?.isEmpty ?? true else {
            throw CodecError(.invalidArgument, "only the model calls functions")
        }
        let parts = original?.parts ?? []
        var calls = try callParts(message.toolCalls ?? [], continuing: original)[...]
        var visible = try visibleParts(message.content, replacing: parts.filter(\.isVisible))[...]
        var result: [JSONValue] = []
        if !parts.contains(where: \.isVisible) {
            result = visible.compactMap(\.self)
            visible = []
        }
        for part in parts {
            if part.isCall {
                if let call = calls.popFirst() { result.append(call) }
            } else if part.isVisible {
                if let replacement = visible.popFirst() ?? nil { result.append(replacement) }
            } else {
                result.append(.object(part.members))
            }
        }
        result += visible.compactMap(\.self) + calls
        return result.isEmpty ? [["text": ""]] : result
    }

    /// What stands in the places of visible parts, nil for those that go; behind them what has no place.
    ///
    /// Another text goes into the first part, if that is one: it keeps what it has beside the text, and all parts stay that are no text.
    private func visibleParts(
        _ content: MessageContent?, replacing parts: [Gemini.Part]
    ) throws(CodecError) -> [JSONValue?] {
        if !parts.isEmpty, Gemini.visibleContent(parts) == content { return parts.map { .object($0.members) } }
        switch content {
        case nil: return []
        case .text(let text):
            let written: JSONValue? = text.isEmpty ? nil : .string(text)
            guard parts.first?.dataKey == "text" else { return [written.map { ["text": $0] }] }
            return parts.enumerated().map { index, part in
                if part.dataKey != "text" { return .object(part.members) }
                guard index == 0, let written else { return nil }
                var members = part.members
                members["text"] = written
                return .object(members)
            }
        case .parts(let parts):
            return try parts.map { (part) throws(CodecError) in
                switch part.kind {
                case .text:
                    var members = part.members
                    members["type"] = nil
                    return .object(members)
                case .native: return try BodyEditor.value(of: part.native, provider: "gemini")
                case .imageURL, .image, .audio, .file, .refusal, .toolUse, .toolResult:
                    throw CodecError(.invalidArgument, "a part of type \(part.kind.rawValue) has no place in Gemini")
                }
            }
        }
    }

    /// - Parameter original: the content whose calls these are; without it they are looked for in all.
    private func callParts(
        _ edited: [ToolCall], continuing original: Original?
    ) throws(CodecError) -> [JSONValue] {
        guard let original else {
            return try edited.map { (call) throws(CodecError) in try callPart(call, replacing: calls[call.id]) }
        }
        let parts = original.parts.filter(\.isCall)
        let places = GeminiRewriting.continued(edited, of: original.messages[0].toolCalls ?? [])
        return try zip(edited, places).map { (pair) throws(CodecError) in
            try callPart(pair.0, replacing: pair.1.map { parts[$0] })
        }
    }

    /// Which of the original's calls each call continues: the one with its id and name, else with its name, else with its id.
    private static func continued(_ calls: [ToolCall], of originals: [ToolCall]) -> [Int?] {
        var places = [Int?](repeating: nil, count: calls.count)
        var rest = Set(originals.indices)
        for key in [{ [$0.id, $0.name] }, { [$0.name] }, { [$0.id] }] as [(ToolCall) -> [String]] {
            var left = Dictionary(grouping: rest.sorted(by: >)) { key(originals[$0]) }
            for index in calls.indices where places[index] == nil {
                guard let place = left[key(calls[index])]?.popLast() else { continue }
                places[index] = place
                rest.remove(place)
            }
        }
        return places
    }

    private func callPart(_ call: ToolCall, replacing original: Gemini.Part?) throws(CodecError) -> JSONValue {
        guard let arguments = call.arguments.stringValue.flatMap(StrictJSON.value), arguments.objectValue != nil else {
            throw CodecError(.invalidArgument, "arguments of a call must be a JSON object in Gemini")
        }
        guard !call.id.isEmpty else { throw CodecError(.invalidArgument, "a call needs an id in Gemini") }
        var function = JSONObject([("args", arguments), ("name", .string(call.name))])
        // A call that was known by its name still is.
        let hadID = original.map { $0.members["functionCall"]?["id"] != nil } ?? true
        if hadID || call.id != call.name { function["id"] = .string(call.id) }
        var members = original?.members ?? JSONObject()
        members["functionCall"] = .object(function)
        return .object(members)
    }

    // MARK: Results of tools

    /// Results in the places of those that were there.
    private func results(_ messages: [Message], in parts: [Gemini.Part]) throws(CodecError) -> [JSONValue] {
        var written = try messages.map { (message) throws(CodecError) in try resultPart(message) }[...]
        var result: [JSONValue] = []
        for part in parts {
            if !part.isResponse {
                result.append(.object(part.members))
            } else if let replacement = written.popFirst() {
                result.append(replacement)
            }
        }
        return result + written
    }

    private func resultPart(_ message: Message) throws(CodecError) -> JSONValue {
        let id = message.toolCallID
        guard message.role == .tool, !id.isEmpty else {
            throw CodecError(.invalidArgument, "a tool message lacks its tool_call_id")
        }
        var part = results[id]?.members ?? JSONObject()
        var members = part["functionResponse"]?.objectValue ?? JSONObject()
        members["id"] = .string(id)
        if members["name"] == nil { members["name"] = .string(functions[id] ?? id) }
        members["parts"] = nil
        switch message.content {
        case nil: members["response"] = [:]
        case .text(let text): members["response"] = GeminiRewriting.response(text)
        case .parts(let parts):
            guard let text = parts.first.flatMap({ $0.kind == .text ? $0.text : nil }) else {
                throw CodecError(.invalidArgument, "the first part of a tool message must be text in Gemini")
            }
            members["response"] = GeminiRewriting.response(text)
            members["parts"] = .array(
                try parts.dropFirst().map { (part) throws(CodecError) in
                    try BodyEditor.value(of: part.native, provider: "gemini")
                })
        }
        part["functionResponse"] = .object(members)
        return .object(part)
    }

    private static func response(_ text: String) -> JSONValue {
        let value = StrictJSON.value(of: text) ?? .string(text)
        return value.objectValue == nil ? ["output": value] : value
    }
}

extension ItemAlignment.Source {
    /// The original that it is about.
    fileprivate var place: Int? {
        switch self {
        case .original(let place), .patched(let place): place
        case .fresh: nil
        }
    }

    fileprivate var isWritten: Bool {
        if case .original = self { false } else { true }
    }
}
