internal import ATOF

/// What `full` and `openinference` say alike about scopes (`otel-projections.md` 1.3, 3.2, 3.4).
enum ScopeRules {
    static func kind(_ category: Event.Category.Known) -> ProjectedSpan.Kind {
        switch category {
        case .llm, .tool, .retriever, .embedder, .reranker: .client
        case .agent, .function, .guardrail, .evaluator, .custom, .unknown: .internal
        }
    }

    static func addIdentity(
        _ event: Event, _ category: Event.Category.Known, isStrict: Bool, _ attributes: inout [Attribute]
    ) {
        attributes.append(Attribute("nemo_relay.uuid", event.uuid.description))
        attributes.append(Attribute("nemo_relay.parent_uuid", event.parentUUID?.description ?? ""))
        attributes.append(Attribute("nemo_relay.scope_type", category.rawValue))
        // The reference loses a word that it does not know; its own producers have none.
        if !isStrict, category == .unknown, let word = event.category?.raw, word != category.rawValue {
            attributes.append(Attribute("skein.scope.category", word))
        }
    }

    static func addHandleAttributes(_ event: Event, _ attributes: inout [Attribute]) {
        let words = event.attributes
        let text = words.isEmpty ? "[]" : JSONValue.array(words.map { .string($0) }).compactText
        attributes.append(Attribute("nemo_relay.handle_attributes", text))
    }

    static func addToolAnnotation(
        _ category: Event.Category.Known, _ payloads: EventPayloads, _ attributes: inout [Attribute]
    ) {
        guard category == .tool, let annotation = payloads.profile("tool_result_annotation") else { return }
        attributes.append(Attribute("nemo_relay.tool.result.annotation", annotation.compactText))
    }
}
