package import ATOF

/// What a message says: one text, or parts (`codecs-and-pricing.md` 1.2).
package enum MessageContent: Sendable, Hashable {
    case text(String)
    case parts([ContentPart])

    /// The text, or that of the first part that has one.
    package var firstText: String? {
        switch self {
        case .text(let text): text
        case .parts(let parts): parts.lazy.compactMap(\.text).first
        }
    }

    /// The form that annotations have.
    package var json: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .parts(let parts): .array(parts.map { .object($0.members) })
        }
    }

    /// The content without members that are null where the model has none.
    var modelled: MessageContent {
        guard case .parts(let parts) = self else { return self }
        return .parts(
            parts.map { part in
                guard part.kind == .toolResult, part.members["is_error"]?.isNull ?? false else { return part }
                var members = part.members
                members["is_error"] = nil
                return ContentPart(kind: part.kind, members: members)
            })
    }

    /// Reads a string or a list of parts.
    ///
    /// - Parameter part: reads a part; without it the part has the form of annotations.
    init(_ value: JSONValue, rejecting kind: CodecError.Kind, part: ContentPart.Decoder? = nil) throws(CodecError) {
        switch value {
        case .string(let text): self = .text(text)
        case .array(let elements):
            var parts: [ContentPart] = []
            parts.reserveCapacity(elements.count)
            for element in elements {
                if let part {
                    parts.append(try part(element))
                } else {
                    parts.append(try ContentPart(element, rejecting: kind))
                }
            }
            self = .parts(parts)
        case .null, .bool, .int, .unsigned, .double, .object:
            throw CodecError(kind, "content must be a string or an array")
        }
    }
}

/// One piece of a message's content, as its wire form (`codecs-and-pricing.md` 1.3).
package struct ContentPart: Sendable, Hashable {
    /// The discriminator of parts on the wire.
    package enum Kind: String, Sendable, Hashable {
        case text
        case imageURL = "image_url"
        case image, audio, file, refusal
        case toolUse = "tool_use"
        case toolResult = "tool_result"
        case native = "provider_native"
    }

    /// Reads a part as a provider writes it.
    typealias Decoder = (JSONValue) throws(CodecError) -> ContentPart

    package let kind: Kind
    /// All members, `type` and unknown ones included.
    package let members: JSONObject

    /// The text of a text part, or of a provider's own part that has one.
    package var text: String? {
        switch kind {
        case .text: members["text"]?.stringValue
        case .native: native?.value["text"]?.stringValue ?? native?.value["refusal"]?.stringValue
        case .imageURL, .image, .audio, .file, .refusal, .toolUse, .toolResult: nil
        }
    }

    /// The provider's value behind a part that the model does not know.
    package var native: NativeValue? { kind == .native ? NativeValue(members) : nil }

    init(kind: Kind, members: JSONObject) {
        self.kind = kind
        self.members = members
    }

    /// A part with one payload, which is called like the kind.
    ///
    /// - Parameter extra: members of the provider's; one called `type` takes the place of the discriminator.
    init(_ kind: Kind, _ payload: JSONValue, extra: JSONObject = JSONObject()) {
        self.kind = kind
        var members = extra
        if members["type"] == nil { members["type"] = .string(kind.rawValue) }
        members[kind.rawValue] = payload
        self.members = members
    }

    /// The members of a part on a surface that has those of the payload beside the type.
    ///
    /// - Throws: `CodecError` when the payload is no object.
    func flattened(as type: String) throws(CodecError) -> JSONObject {
        guard let payload = members[kind.rawValue]?.objectValue else {
            throw CodecError(.invalidArgument, "\(kind.rawValue) of a part must be an object")
        }
        var members = members
        members[kind.rawValue] = nil
        for member in payload { members[member.key] = member.value }
        members["type"] = .string(type)
        return members
    }

    init(native: NativeValue) {
        kind = .native
        var members = native.members
        members["type"] = .string(Kind.native.rawValue)
        self.members = members
    }

    /// Reads the form that annotations have.
    init(_ value: JSONValue, rejecting rejection: CodecError.Kind) throws(CodecError) {
        var reader = try MemberReader(value, "a content part", rejecting: rejection)
        let type = try reader.requiredString("type")
        guard let kind = Kind(rawValue: type) else {
            throw CodecError(rejection, "a content part has an unknown type")
        }
        var complete = true
        switch kind {
        case .text, .refusal: _ = try reader.requiredString(type)
        case .imageURL: complete = try reader.object(kind.rawValue)?["url"]?.stringValue != nil
        case .image: complete = try reader.object(kind.rawValue) != nil
        case .audio, .file: complete = reader.any(kind.rawValue) != nil
        case .toolUse:
            _ = try reader.requiredString("id")
            _ = try reader.requiredString("name")
            complete = reader.any("input") != nil
        case .toolResult:
            _ = try reader.requiredString("tool_use_id")
            complete = reader.any("content") != nil
        case .native: complete = NativeValue(reader.object) != nil
        }
        guard complete else { throw CodecError(rejection, "a \(kind.rawValue) part lacks its payload") }
        self.init(kind: kind, members: reader.object)
    }
}
