internal import ATOF

/// Writes into a copy of a request body what an edited request says otherwise than the one that the body was decoded to
/// (`codecs-and-pricing.md` 2.2).
struct BodyEditor {
    let baseline: NormalizedRequest
    let edited: NormalizedRequest
    var body: JSONObject
    /// The members of both, put together once.
    private let before: JSONObject
    private let after: JSONObject

    init(baseline: NormalizedRequest, edited: NormalizedRequest, body: JSONObject) {
        self.baseline = baseline
        // What the model does not know of a message has no way into a body.
        let known = Set(baseline.tools ?? [])
        let edited = edited.replacing(
            messages: edited.messages.map(\.modelled),
            tools: edited.tools?.map { known.contains($0) ? $0 : $0.modelled })
        self.edited = edited
        self.body = body
        before = baseline.members
        after = edited.members
    }

    func isChanged(_ member: String) -> Bool { before[member] != after[member] }

    /// - Throws: `CodecError` when one of the members was changed: the surface has no place for them.
    func refuseChanges(of members: [String]) throws(CodecError) {
        for member in members where isChanged(member) {
            throw CodecError(.invalidArgument, "\(member) cannot be changed on this surface")
        }
    }

    /// Writes changed members that are called the same in the body.
    mutating func copy(_ table: [WireMembers]) {
        for row in table {
            for key in row.keys where isChanged(key) { body[key] = after[key] }
        }
    }

    /// Writes a parameter when it has changed.
    mutating func parameter<Value: Equatable>(
        _ parameter: KeyPath<NormalizedRequest.Parameters, Value?>, at key: String, _ json: (Value) -> JSONValue
    ) {
        guard isChanged(parameter) else { return }
        body[key] = edited.parameters?[keyPath: parameter].map(json)
    }

    func isChanged<Value: Equatable>(_ parameter: KeyPath<NormalizedRequest.Parameters, Value?>) -> Bool {
        baseline.parameters?[keyPath: parameter] != edited.parameters?[keyPath: parameter]
    }

    mutating func sampling(temperature: String = "temperature", topP: String) {
        parameter(\.temperature, at: temperature) { .double($0) }
        parameter(\.topP, at: topP) { .double($0) }
    }

    /// The choice of a function that the body has, if the edit chooses a function as well.
    var continuedChoice: JSONObject? {
        for choice in [before["tool_choice"], after["tool_choice"]] {
            guard let choice, case .function = try? ToolChoice(choice) else { return nil }
        }
        return body["tool_choice"]?.objectValue
    }

    /// Writes changed members of `api_specific`; without it all of them are removed.
    ///
    /// - Parameter wireKeys: names in the body that differ from those in `api_specific`.
    /// - Throws: `CodecError` when it belongs to another surface.
    mutating func apiSpecific(
        _ surface: Surface, _ table: [WireMembers], wireKeys: [String: String] = [:]
    ) throws(CodecError) {
        let before = before["api_specific"]?.objectValue ?? JSONObject()
        let after = after["api_specific"]?.objectValue
        if let after, after["api"]?.stringValue != surface.rawValue {
            throw CodecError(.invalidArgument, "api_specific must be of \(surface.rawValue)")
        }
        for row in table {
            for wireKey in row.keys {
                let key = wireKeys[wireKey] ?? wireKey
                guard before[key] != after?[key] else { continue }
                if let value = after?[key], !row.type.accepts(value) {
                    throw CodecError(.invalidArgument, "\(key) must be \(row.type.rawValue)")
                }
                body[wireKey] = after?[key]
            }
        }
    }

    /// Writes changes of the members that the model does not know.
    mutating func extras() {
        if baseline.extra == edited.extra { return }
        for member in baseline.extra where edited.extra[member.key] == nil { body[member.key] = nil }
        for member in edited.extra where baseline.extra[member.key] != member.value { body[member.key] = member.value }
    }

    /// Writes changed messages into `messages`.
    mutating func messages(
        encode: (Message, _ original: JSONValue?) throws(CodecError) -> JSONValue
    ) throws(CodecError) {
        guard isChanged("messages") else { return }
        let originals = body["messages"]?.arrayValue ?? []
        body["messages"] = .array(
            try items(
                edited.messages, baseline: baseline.messages, originals: originals, identity: \.identity,
                encode: encode))
    }

    /// Writes changed tools into `tools`; none removes them.
    mutating func tools(
        encode: (ToolDefinition, _ original: JSONValue?) throws(CodecError) -> JSONValue
    ) throws(CodecError) {
        guard isChanged("tools") else { return }
        guard let tools = edited.tools else {
            body["tools"] = nil
            return
        }
        let originals = body["tools"]?.arrayValue ?? []
        body["tools"] = .array(
            try items(tools, baseline: baseline.tools ?? [], originals: originals, encode: encode))
    }

    /// Writes a changed list, keeping the original JSON of the items that are the same.
    ///
    /// - Parameters:
    ///   - patching: which edited items are written into their originals.
    ///   - identity: what tells an item from others.
    ///   - encode: the JSON of an item; the second value is the original into which it goes, if any.
    func items<Item: Hashable>(
        _ edited: [Item], baseline: [Item], originals: [JSONValue], patching: ItemAlignment.Patching = .onePair,
        identity: (Item) -> String? = { _ in nil },
        encode: (Item, _ original: JSONValue?) throws(CodecError) -> JSONValue
    ) throws(CodecError) -> [JSONValue] {
        // What was decoded item by item has as many originals; anything else is written anew.
        let baseline = baseline.count == originals.count ? baseline : []
        let sources = ItemAlignment.sources(of: edited, baseline: baseline, patching: patching, identity: identity)
        var result: [JSONValue] = []
        result.reserveCapacity(edited.count)
        for (item, source) in zip(edited, sources) {
            switch source {
            case .original(let index): result.append(originals[index])
            case .fresh: result.append(try encode(item, nil))
            case .patched(let index):
                let after = try encode(item, originals[index])
                guard let before = try? encode(baseline[index], originals[index]) else {
                    result.append(after)
                    continue
                }
                result.append(JSONPatch.apply(originals[index], from: before, to: after))
            }
        }
        return result
    }

    /// The value of a native item, which goes back only where it came from.
    static func value(of native: NativeValue?, provider: String) throws(CodecError) -> JSONValue {
        guard let native, native.provider == provider else {
            throw CodecError(.invalidArgument, "a provider_native item belongs to another surface")
        }
        return native.value
    }
}
