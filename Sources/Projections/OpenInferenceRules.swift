internal import ATOF
internal import LLMCodecs

/// The attributes of scopes in the projection `openinference` (`otel-projections.md` 3.4).
enum OpenInferenceRules {
    static func start(
        _ event: Event, _ payloads: EventPayloads, _ context: SpanContext
    ) -> (ProjectedSpan.Kind, StartAttributes) {
        let category = event.category?.known ?? .unknown
        var start = StartAttributes()
        var attributes: [Attribute] = []
        attributes.reserveCapacity(32)
        attributes.append(Attribute("openinference.span.kind", spanKind(category)))
        ScopeRules.addIdentity(event, category, isStrict: payloads.isStrict, &attributes)
        attributes.append("tool_call.id", string: payloads.profile("tool_call_id"))
        if category == .llm {
            start.modelName = addRequest(event, payloads, &attributes)
        } else {
            ScopeRules.addHandleAttributes(event, &attributes)
            addMetadata(payloads, &start.replaceable)
            let data = PayloadFields(payloads.data)
            attributes.append("nemo_relay.start.data", data)
            attributes.append("nemo_relay.start.input", data)
            addInput(event, category, payloads.data, &attributes)
        }
        if context.isTraceRoot { SessionRules.add(event, payloads, traceID: context.traceID, &attributes) }
        start.attributes = attributes
        return (ScopeRules.kind(category), start)
    }

    static func end(
        _ event: Event, _ payloads: EventPayloads, _ start: StartAttributes, _ pricing: PricingSources,
        _ attributes: inout [Attribute]
    ) {
        let category = event.category?.known ?? .unknown
        var metadata: [Attribute] = []
        addMetadata(payloads, &metadata)
        if !start.replaceable.isEmpty {
            attributes += start.replaceable.without(keysOf: metadata)
        }
        let data = PayloadFields(payloads.data)
        attributes.append("nemo_relay.end.data", data)
        attributes.append(contentsOf: metadata)
        attributes.append("nemo_relay.end.output", data)
        ScopeRules.addToolAnnotation(category, payloads, &attributes)
        if let data = payloads.data {
            // A model that answers with a bare list calls tools; what others return are things.
            let isAnswer = category == .llm && data.arrayValue != nil
            addText(
                DisplayText(namesAreCalls: payloads.isStrict || isAnswer).text(data), orJSON: data,
                value: "output.value", type: "output.mime_type", &attributes)
        }
        var modelName = start.modelName
        if category == .llm { modelName = addResponse(event, payloads, start, pricing, &attributes) ?? modelName }
        if let modelName { attributes.append(Attribute("llm.model_name", modelName)) }
    }

    private static func spanKind(_ category: Event.Category.Known) -> String {
        switch category {
        case .agent: "AGENT"
        case .tool: "TOOL"
        case .llm: "LLM"
        case .retriever: "RETRIEVER"
        case .embedder: "EMBEDDING"
        case .reranker: "RERANKER"
        case .guardrail: "GUARDRAIL"
        case .evaluator: "EVALUATOR"
        case .function, .custom, .unknown: "CHAIN"
        }
    }

    private static func addMetadata(_ payloads: EventPayloads, _ attributes: inout [Attribute]) {
        guard let metadata = payloads.promotion.rest else { return }
        attributes.append(Attribute("metadata", metadata.compactText))
        attributes.append("openinference.metadata", PayloadFields(metadata))
    }

    private static func addInput(
        _ event: Event, _ category: Event.Category.Known, _ data: JSONValue?, _ attributes: inout [Attribute]
    ) {
        if category == .tool {
            attributes.append(Attribute("tool.name", event.name))
            attributes.append(Attribute("tool_call.function.name", event.name))
        }
        guard let data else { return }
        let text = data.compactText
        attributes.append(Attribute("input.value", text))
        attributes.append(Attribute("input.mime_type", "application/json"))
        if category == .tool {
            attributes.append(Attribute("tool.parameters", text))
            attributes.append(Attribute("tool_call.function.arguments", text))
        }
    }

    static func addText(
        _ text: String?, orJSON json: @autoclosure () -> JSONValue, value: String, type: String,
        _ attributes: inout [Attribute]
    ) {
        attributes.append(Attribute(value, text ?? json().compactText))
        attributes.append(Attribute(type, text == nil ? "application/json" : "text/plain"))
    }
}
