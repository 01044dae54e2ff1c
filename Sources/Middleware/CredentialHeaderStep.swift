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

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        guard draft.event.kind == .scopeStart, let data = draft.event.data,
            // Most requests have none, which is seen without parsing them.
            data.mayContain("headers\"", notFollowedBy: ":{}")
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

    private func removeHeaders(_ draft: inout EventDraft) -> Bool {
        guard var data = draft.data?.objectValue, let headers = data["headers"]?.objectValue else { return false }
        let kept = CredentialHeaders.removed(from: headers, compatibility)
        guard kept.count != headers.count else { return false }
        data["headers"] = .object(kept)
        draft.data = .object(data)
        return true
    }

    private func hideHeaders(_ draft: inout EventDraft) -> Bool {
        guard var data = draft.data?.objectValue, var headers = data["headers"]?.objectValue else { return false }
        let credentials = headers.keys.filter { CredentialHeaders.isCredential($0, compatibility) }
        guard !credentials.isEmpty else { return false }
        for credential in credentials { headers[credential] = "[REDACTED]" }
        data["headers"] = .object(headers)
        draft.data = .object(data)
        return true
    }
}
