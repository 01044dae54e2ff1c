internal import ATOF

extension InjectedMetadata {
    /// Adds what is not there yet; metadata that is no object stays as it is.
    ///
    /// - Returns: whether anything was added.
    static func insert(_ additions: JSONObject, into draft: inout EventDraft) -> Bool {
        guard var metadata = (draft.metadata ?? .object(JSONObject())).objectValue else { return false }
        var isChanged = false
        for addition in additions where metadata[addition.key] == nil {
            metadata[addition.key] = addition.value
            isChanged = true
        }
        if isChanged { draft.metadata = .object(metadata) }
        return isChanged
    }
}
