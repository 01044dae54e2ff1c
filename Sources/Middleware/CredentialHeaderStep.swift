internal import ATOF
internal import LLMCodecs

/// Takes the credentials out of the headers of requests, whatever else is configured (`codecs-and-pricing.md` 6).
///
/// From model requests the headers are removed, as the reference does. Of a tool that fetches something the reference passes on
/// everything; here the values of its `headers` are replaced, in whichever shape they are, and so are those of model requests in a shape
/// that the reference does not know.
struct CredentialHeaderStep: ChainStep {
    let name = "credential_headers"
    /// Before everything else: no other step is shown a credential.
    let priority = Int32.min
    let compatibility: Compatibility

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        guard draft.event.kind == .scopeStart, let data = draft.event.data,
            // Most requests have none, which is seen without parsing them.
            data.mayContain("eaders\"", notFollowedBy: ":{}") || data.mayContain("HEADERS\"", notFollowedBy: ":{}")
                || draft.event.category?.known == .tool && data.mayContain("eaders\\\"")
        else { return .pass }
        let isChanged =
            switch draft.event.category?.known {
            case .llm?: removeHeaders(&draft)
            case .tool?: compatibility == .skein && hideHeaders(&draft)
            case .agent?, .function?, .retriever?, .embedder?, .reranker?, .guardrail?, .evaluator?, .custom?,
                .unknown?,
                nil:
                false
            }
        if isChanged { notes.changes[name, default: 0] += 1 }
        return .pass
    }

    /// What the member is called; the reference knows the first only.
    private static let members = ["headers", "Headers", "HEADERS"]

    private func removeHeaders(_ draft: inout EventDraft) -> Bool {
        var isChanged = false
        if var data = draft.data?.objectValue, let headers = data["headers"]?.objectValue {
            let kept = CredentialHeaders.removed(from: headers, compatibility)
            if kept.count != headers.count {
                data["headers"] = .object(kept)
                draft.data = .object(data)
                isChanged = true
            }
        }
        return compatibility == .skein && hideHeaders(&draft) || isChanged
    }

    private func hideHeaders(_ draft: inout EventDraft) -> Bool {
        guard let data = draft.data, let hidden = withHiddenHeaders(data) else { return false }
        draft.data = hidden
        return true
    }

    /// - Returns: nil when nothing is to be hidden. Arguments may be JSON text.
    private func withHiddenHeaders(_ data: JSONValue) -> JSONValue? {
        if case .string(let text) = data {
            return JSONValue.held(in: text).flatMap(withHiddenHeaders).map { .string($0.compactText) }
        }
        guard var object = data.objectValue else { return nil }
        var isChanged = false
        for member in CredentialHeaderStep.members {
            guard let hidden = object[member].flatMap({ hidden(headers: $0) }) else { continue }
            object[member] = hidden
            isChanged = true
        }
        return isChanged ? .object(object) : nil
    }

    /// Headers as clients take them: an object; a list of objects with `name` or `key` and `value`, of pairs, or of lines; lines; and the
    /// JSON text of any of these.
    private func hidden(headers: JSONValue) -> JSONValue? {
        switch headers {
        case .object(var object):
            let credentials = object.keys.filter { CredentialHeaders.isCredential($0, compatibility) }
            for credential in credentials { object[credential] = CredentialHeaderStep.replacement }
            return credentials.isEmpty ? nil : .object(object)
        case .array(let elements):
            let replaced = elements.map { hidden(element: $0) }
            return replaced.allSatisfy { $0 == nil } ? nil : .array(zip(replaced, elements).map { $0 ?? $1 })
        case .string(let text):
            if let held = JSONValue.held(in: text) { return hidden(headers: held).map { .string($0.compactText) } }
            let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            let replaced = lines.map { hidden(line: $0) }
            guard replaced.contains(where: { $0 != nil }) else { return nil }
            return .string(zip(replaced, lines).map { $0 ?? String($1) }.joined(separator: "\n"))
        case .null, .bool, .int, .unsigned, .double: return nil
        }
    }

    private func hidden(element: JSONValue) -> JSONValue? {
        switch element {
        case .object(var object):
            guard let name = (object["name"] ?? object["key"])?.stringValue, object["value"] != nil else {
                return hidden(headers: element)
            }
            guard CredentialHeaders.isCredential(name, compatibility) else { return nil }
            object["value"] = CredentialHeaderStep.replacement
            return .object(object)
        case .array(let pair):
            guard pair.count > 1, let name = pair[0].stringValue, CredentialHeaders.isCredential(name, compatibility)
            else { return nil }
            return .array([pair[0]] + pair.dropFirst().map { _ in CredentialHeaderStep.replacement })
        case .string: return hidden(headers: element)
        case .null, .bool, .int, .unsigned, .double: return nil
        }
    }

    private func hidden(line: Substring) -> String? {
        guard let colon = line.firstIndex(of: ":") else { return nil }
        let name = line[..<colon].trimmingPrefix(while: \.isWhitespace)
        guard CredentialHeaders.isCredential(String(name), compatibility) else { return nil }
        return "\(line[...colon]) [REDACTED]"
    }

    private static let replacement: JSONValue = "[REDACTED]"
}
