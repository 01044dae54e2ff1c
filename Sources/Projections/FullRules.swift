internal import ATOF
internal import LLMCodecs

/// The attributes of scopes in the projection `full` (`otel-projections.md` 3.2).
enum FullRules {
    static func start(
        _ event: Event, _ payloads: EventPayloads, _ context: SpanContext
    ) -> (ProjectedSpan.Kind, StartAttributes) {
        let category = event.category?.known ?? .unknown
        var start = StartAttributes()
        var attributes: [Attribute] = []
        attributes.reserveCapacity(32)
        ScopeRules.addIdentity(event, category, isStrict: payloads.isStrict, &attributes)
        attributes.append("nemo_relay.tool_call_id", string: payloads.profile("tool_call_id"))
        ScopeRules.addHandleAttributes(event, &attributes)
        let data = PayloadFields(payloads.data)
        attributes.append("nemo_relay.start.data", data)
        attributes.append("nemo_relay.start.metadata", PayloadFields(payloads.promotion.rest))
        attributes.append("nemo_relay.start.input", data)
        if context.isTraceRoot { SessionRules.add(event, payloads, traceID: context.traceID, &attributes) }
        start.attributes = attributes
        if category == .llm {
            start.modelName = LLMFacts.startModel(payloads) {
                LLMNormalizer.request(
                    profile: payloads.profile, data: payloads.data, name: event.name, payloads.compatibility)
            }
        }
        return (ScopeRules.kind(category), start)
    }

    static func end(
        _ event: Event, _ payloads: EventPayloads, _ start: StartAttributes, _ outcome: ErrorClassification,
        _ pricing: PricingSources, _ attributes: inout [Attribute]
    ) {
        let category = event.category?.known ?? .unknown
        let data = PayloadFields(payloads.data)
        attributes.append("nemo_relay.end.data", data)
        attributes.append("nemo_relay.end.metadata", PayloadFields(payloads.promotion.rest))
        attributes.append("nemo_relay.end.output", data)
        ScopeRules.addToolAnnotation(category, payloads, &attributes)
        var modelName = start.modelName
        if category == .llm {
            let response = LLMNormalizer.response(
                profile: payloads.profile, data: payloads.data, pricing: pricing, payloads.compatibility)
            if let cost = LLMFacts.cost(event, payloads, start, response, pricing, .anyCurrency),
                let amount = cost.amount
            {
                attributes.append(Attribute("nemo_relay.llm.cost.total", .double(amount)))
                attributes.append(Attribute("nemo_relay.llm.cost.currency", cost.currency))
            }
            OptimizationRules.add(response?.optimizationSummary, &attributes)
            modelName = LLMFacts.endModel(payloads, response) ?? modelName
        } else {
            let annotated = LLMNormalizer.annotatedResponse(payloads.profile, data: payloads.data)
            OptimizationRules.add(annotated?.optimizationSummary, &attributes)
        }
        if let type = outcome.errorType { attributes.append(Attribute("error.type", type)) }
        if let modelName { attributes.append(Attribute("nemo_relay.model_name", modelName)) }
    }
}
