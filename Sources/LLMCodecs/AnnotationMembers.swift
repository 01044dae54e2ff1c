package import ATOF

/// The members of an annotation, those of the model apart from those that the provider's body had besides.
///
/// On the wire both lie in one object, where one of the provider's takes the place of one of the model that is called the
/// same (`codecs-and-pricing.md` 1.5, collision warning). The body that the annotation was made from tells which is which,
/// and has what was hidden.
struct AnnotationMembers {
    private(set) var modelled = JSONObject()
    private(set) var extra = JSONObject()

    /// - Parameter names: the members that the model has.
    init(_ annotation: JSONObject, modelled names: Set<String>) {
        for member in annotation {
            if names.contains(member.key) {
                modelled[member.key] = member.value
            } else {
                extra[member.key] = member.value
            }
        }
    }

    /// Takes a member for the provider's.
    ///
    /// - Parameter hidden: what the model has under that name.
    mutating func replace(_ name: String, by hidden: JSONValue?) {
        extra[name] = modelled[name]
        modelled[name] = hidden
    }

    /// - Parameters:
    ///   - members: what the body was decoded to.
    ///   - extra: what it had besides.
    mutating func recover(from members: JSONObject, extra: JSONObject) {
        for member in extra where modelled[member.key] == member.value {
            replace(member.key, by: members[member.key])
        }
    }

    /// Takes members for the provider's that cannot be read: a codec writes none of that kind.
    ///
    /// - Parameters:
    ///   - members: what the body was decoded to, if it could be.
    ///   - isReadable: whether the model allows the member.
    mutating func recoverUnreadable(from members: JSONObject?, isReadable: (JSONObject) -> Bool) {
        for member in modelled where !isReadable(JSONObject([(member.key, member.value)])) {
            replace(member.key, by: members?[member.key])
        }
    }

    /// The surface whose codec wrote an annotation, as its tag says.
    static func codec(of annotation: JSONObject) -> Surface? {
        annotation["api_specific"]?["api"]?.stringValue.flatMap(Surface.init(rawValue:))
    }
}

extension NormalizedResponse {
    /// Reads an annotation that a producer supplied, with what its body hid of it.
    ///
    /// - Parameter data: the response body that lies beside the annotation.
    /// - Throws: `CodecError` when a member has a type that the model does not allow, and no codec wrote it.
    package init(annotation: JSONObject, data: JSONValue?) throws(CodecError) {
        var members = AnnotationMembers(annotation, modelled: NormalizedResponse.modelledNames)
        let codec = AnnotationMembers.codec(of: annotation)
        let surface = codec ?? NormalizedResponse.surface(ofUntagged: annotation, data)
        var decoded: NormalizedResponse?
        if let surface, let body = data?.objectValue,
            annotation["message"]?.objectValue != nil || surface.hidesMembers(inResponse: body)
        {
            decoded = try? surface.decodeResponse(.object(body))
            if let decoded { members.recover(from: decoded.members, extra: decoded.extra) }
        }
        if members.modelled["message"]?.objectValue != nil {
            members.replace("message", by: decoded?.members["message"])
        }
        do throws(CodecError) {
            try self.init(members: members.modelled, extra: members.extra)
        } catch {
            guard let codec else { throw error }
            if decoded == nil, let data { decoded = try? codec.decodeResponse(data) }
            members.recoverUnreadable(from: decoded?.members) {
                (try? NormalizedResponse(members: $0, extra: JSONObject())) != nil
            }
            try self.init(members: members.modelled, extra: members.extra)
        }
        isMessageHidden = message == nil && decoded == nil && annotation["message"]?.nonNull != nil
    }

    /// Gemini's codec does not always tag; that of any surface can have lost its tag, or the message.
    private static func surface(ofUntagged annotation: JSONObject, _ data: JSONValue?) -> Surface? {
        let specific = annotation["api_specific"]
        guard specific?["api"]?.stringValue == nil, let data, let body = data.objectValue else { return nil }
        // What Gemini's codec does not know of a body is all there is of it.
        if specific == nil, (try? Gemini.response(data).annotation) == annotation { return .gemini }
        guard let surface = Surface.ofResponse(body) else { return nil }
        return surface == .gemini || specific != nil || annotation["message"]?.objectValue != nil ? surface : nil
    }
}

extension NormalizedRequest {
    /// Reads an annotation that a producer supplied, with what its body hid of it.
    ///
    /// - Parameters:
    ///   - body: the request body that lies beside the annotation.
    ///   - name: the event's name, the hint at a provider.
    /// - Throws: `CodecError` when a member has a type that the model does not allow, and no codec wrote it.
    package init(annotation: JSONObject, body: JSONValue?, name: String) throws(CodecError) {
        var members = AnnotationMembers(annotation, modelled: NormalizedRequest.modelledNames)
        let codec = AnnotationMembers.codec(of: annotation)
        let surface = codec ?? NormalizedRequest.surface(ofUntagged: annotation, body, name)
        var decoded: NormalizedRequest?
        if let surface, let object = body?.objectValue, surface.hidesMembers(inRequest: object) {
            decoded = try? surface.decodeRequest(.object(object))
            if let decoded { members.recover(from: decoded.members, extra: decoded.extra) }
        }
        do throws(CodecError) {
            try self.init(members: members.modelled, extra: members.extra)
        } catch {
            guard let codec else { throw error }
            if decoded == nil, let body { decoded = try? codec.decodeRequest(body) }
            // Without its messages a request says nothing; then the body is what counts.
            members.recoverUnreadable(from: decoded?.members) {
                $0["messages"] != nil || (try? NormalizedRequest(members: $0, extra: JSONObject())) != nil
            }
            try self.init(members: members.modelled, extra: members.extra)
        }
    }

    /// Gemini's codec does not tag requests; that of any surface can have lost its tag.
    private static func surface(ofUntagged annotation: JSONObject, _ body: JSONValue?, _ name: String) -> Surface? {
        let specific = annotation["api_specific"]
        guard specific?["api"]?.stringValue == nil,
            let surface = body?.objectValue.flatMap({ Surface.ofRequest($0, hint: name) })
        else { return nil }
        return surface == .gemini || specific != nil ? surface : nil
    }
}

extension Surface {
    /// Whether a response body may have members that are called like those of the model and mean something else.
    fileprivate func hidesMembers(inResponse body: JSONObject) -> Bool {
        switch self {
        case .openAIChat, .openAIResponses, .anthropicMessages:
            return body.has(NormalizedResponse.modelledNames, but: ["id", "model", "usage"])
        case .gemini: return body.has(NormalizedResponse.modelledNames, but: [])
        case .ociGenAI:
            let chat = body["chatResponse"]?.objectValue
            let own: Set<String> =
                OCI.format(of: chat ?? body) == OCI.cohereV2 ? ["id", "message", "usage"] : ["usage"]
            guard let chat else { return body.has(NormalizedResponse.modelledNames, but: own) }
            return body.has(NormalizedResponse.modelledNames, but: [])
                || chat.has(NormalizedResponse.modelledNames, but: own)
        }
    }

    /// Whether a request body may have members that are called like those of the model and mean something else.
    fileprivate func hidesMembers(inRequest body: JSONObject) -> Bool {
        switch self {
        case .openAIChat: return body.has(NormalizedRequest.modelledNames, but: OpenAIChat.modelledNames)
        case .openAIResponses: return body.has(NormalizedRequest.modelledNames, but: OpenAIResponses.modelledNames)
        case .anthropicMessages: return body.has(NormalizedRequest.modelledNames, but: Anthropic.modelledNames)
        case .gemini: return body.has(NormalizedRequest.modelledNames, but: ["model", "tools"])
        case .ociGenAI:
            let chat = body["chatRequest"]?.objectValue ?? body
            let own: Set<String> = OCI.format(of: chat) == OCI.cohere ? ["tools"] : ["messages", "tools"]
            return chat.has(NormalizedRequest.modelledNames, but: own)
        }
    }
}

extension JSONObject {
    /// Whether it has a member with one of the names, other than those of its own.
    fileprivate func has(_ names: Set<String>, but own: Set<String>) -> Bool {
        names.contains { self[$0] != nil && !own.contains($0) }
    }
}
