internal import ATOF

/// Adds what is configured to the metadata of every event. What an event has already stays.
struct MetadataInjectionStep: ChainStep {
    let name = "metadata"
    let priority: Int32
    private let values: JSONObject
    private let tenantKeys: [String]

    /// - Parameter facts: what the collector says of itself.
    init(_ injection: MetadataInjection, facts: CollectorFacts) {
        priority = injection.priority
        var values = JSONObject(injection.values.map { ($0.key, $0.value) })
        var tenantKeys: [String] = []
        for (key, fact) in injection.facts {
            switch fact {
            case .tenant: tenantKeys.append(key)
            case .collector: values[key] = .string(facts.collector)
            case .version: values[key] = .string(facts.version)
            }
        }
        self.values = values
        self.tenantKeys = tenantKeys
    }

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        var additions = values
        for key in tenantKeys { additions[key] = .string(draft.tenant) }
        if InjectedMetadata.insert(additions, into: &draft) { notes.changes[name, default: 0] += 1 }
        return .pass
    }
}
