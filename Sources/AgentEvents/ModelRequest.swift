package import ATOF
internal import LLMCodecs

/// What is sent to a provider.
public struct ModelRequest: Sendable, Hashable {
    /// An object: a header's name and its value. Those that hold credentials are never published.
    public var headers: JSON
    /// The body.
    public var content: JSON

    /// A request with its headers and its body.
    public init(headers: JSON = [:], content: JSON) {
        self.headers = headers
        self.content = content
    }

    package var headerMembers: JSONObject {
        get { headers.value.objectValue ?? JSONObject() }
        set { headers = JSON(.object(newValue)) }
    }

    /// `{"content":…,"headers":…}`; content that is encoded already is not parsed for it.
    package var json: JSON {
        guard case .encoded(let content) = content.storage, !content.isEmpty else {
            return JSON(.object(JSONObject([("content", content.value), ("headers", .object(headerMembers))])))
        }
        var text = Array(#"{"content":"#.utf8)
        text += content
        text += #","headers":"#.utf8
        text += JSONValue.object(headerMembers).compactText.utf8
        text.append(UInt8(ascii: "}"))
        return .encoded(text)
    }

    /// With a header in place of all spellings of its name.
    package mutating func replaceHeader(_ name: String, with value: JSON) {
        var headers = JSONObject(headerMembers.filter { $0.key.asciiLowercased != name }.map { ($0.key, $0.value) })
        headers[name] = value.value
        headerMembers = headers
    }

    mutating func removeCredentials() {
        let headers = headerMembers
        let kept = CredentialHeaders.removed(from: headers, .skein)
        if kept.count != headers.count { headerMembers = kept }
    }
}
