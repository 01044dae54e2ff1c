internal import ATOF
internal import LLMCodecs

/// Takes the credentials out of the headers of requests, whatever else is configured (`codecs-and-pricing.md` 6).
///
/// From model requests the headers are removed, as the reference does. Of a tool that fetches something the reference passes on
/// everything; here the values of its `headers` are replaced.
struct CredentialHeaderStep: ChainStep {
    let name = "credential_headers"
    /// Before everything else: no other step is shown a credential.
    let priority = Int32.min
    let compatibility: Compatibility

    /// What the member is called; the reference knows the first only.
    private static let members = ["headers", "Headers", "HEADERS"]

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        guard draft.event.kind == .scopeStart, let data = draft.event.data,
            // Most requests have none, which is seen without parsing them.
            data.mayContain("eaders\"", notFollowedBy: ":{}") || data.mayContain("HEADERS\"", notFollowedBy: ":{}")
        else { return .pass }
        let isChanged =
            switch draft.event.category?.known {
            case .llm?: treat(&draft, replacement: nil)
            case .tool?: compatibility == .skein && treat(&draft, replacement: "[REDACTED]")
            case .agent?, .function?, .retriever?, .embedder?, .reranker?, .guardrail?, .evaluator?, .custom?,
                .unknown?,
                nil:
                false
            }
        if isChanged { notes.changes[name, default: 0] += 1 }
        return .pass
    }

    /// - Parameter replacement: what takes the place of values; nil removes the headers.
    private func treat(_ draft: inout EventDraft, replacement: JSONValue?) -> Bool {
        guard var data = draft.data?.objectValue else { return false }
        var isChanged = false
        for member in Self.members.prefix(compatibility == .skein ? Self.members.count : 1) {
            guard let headers = data[member], let treated = treated(headers, replacement) else { continue }
            data[member] = treated
            isChanged = true
        }
        if isChanged { draft.data = .object(data) }
        return isChanged
    }

    /// - Returns: nil when there is no credential.
    private func treated(_ headers: JSONValue, _ replacement: JSONValue?) -> JSONValue? {
        switch headers {
        case .object(let headers):
            let credentials = headers.keys.filter { CredentialHeaders.isCredential($0, compatibility) }
            if credentials.isEmpty { return nil }
            guard let replacement else { return .object(CredentialHeaders.removed(from: headers, compatibility)) }
            var treated = headers
            for credential in credentials { treated[credential] = replacement }
            return .object(treated)
        case .array(let headers) where compatibility == .skein:
            let treated = headers.compactMap { pair in
                guard let name = Self.name(in: pair), CredentialHeaders.isCredential(name, compatibility) else {
                    return pair
                }
                return replacement.map { Self.pair(pair, with: $0) }
            }
            return treated == headers ? nil : .array(treated)
        default: return nil
        }
    }

    /// Of a header in a list: `["name", "value"]` or `{"name": "…", "value": "…"}`.
    private static func name(in pair: JSONValue) -> String? {
        (pair[0] ?? pair["name"] ?? pair["key"])?.stringValue
    }

    private static func pair(_ pair: JSONValue, with value: JSONValue) -> JSONValue {
        switch pair {
        case .array(let elements): .array(elements.prefix(1) + elements.dropFirst().map { _ in value })
        case .object(let object):
            .object(
                JSONObject(object.map { ($0.key, $0.key == "name" || $0.key == "key" ? $0.value : value) }))
        default: pair
        }
    }
}
