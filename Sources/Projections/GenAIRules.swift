internal import ATOF
internal import LLMCodecs

/// Names, kinds and attributes of scopes in the projection `gen_ai` (`otel-projections.md` 3.3, 10).
enum GenAIRules {
    private typealias Names = GenAIConventions

    static func start(
        _ event: Event, _ payloads: EventPayloads
    ) -> (name: String, kind: ProjectedSpan.Kind, start: StartAttributes) {
        var attributes: [Attribute] = []
        attributes.reserveCapacity(20)
        let name: String
        var kind = ProjectedSpan.Kind.internal
        switch operation(event, payloads) {
        case nil: name = event.name
        case .invokeAgent: name = addAgent(event, payloads, &attributes)
        case .executeTool: name = addTool(event, payloads, &attributes)
        case .inference:
            name = addInference(event, payloads, &attributes)
            kind = .client
        case .retrieval:
            name = addRetrieval(event, payloads, &attributes)
            kind = .client
        case .embeddings:
            name = addEmbeddings(event, payloads, &attributes)
            kind = .client
        }
        var start = StartAttributes()
        start.attributes = attributes
        return (name, kind, start)
    }

    /// - Parameter outcome: how the scope ended.
    static func end(
        _ event: Event, _ payloads: EventPayloads, _ outcome: ErrorClassification, _ attributes: inout [Attribute]
    ) {
        let operation = operation(event, payloads)
        switch operation {
        case .inference: addResponse(event, payloads, &attributes)
        case .embeddings:
            let lookup = GenAILookup(payloads)
            attributes.append(Names.responseModel, lookup.text("gen_ai.response.model", "response_model", "model"))
            attributes.append(
                Names.inputTokens, lookup.integer("gen_ai.usage.input_tokens", "input_tokens", "prompt_tokens"))
        case .executeTool:
            addFacts(GenAILookup(payloads, readsData: payloads.isStrict), payloads, &attributes)
            // A failed tool has no result; what it returned instead may be anything.
            if !isFailure(payloads) { attributes.append(Names.toolCallResult, toolPayload(payloads.data)) }
        case .invokeAgent, .retrieval, nil: break
        }
        attributes.append(
            Names.errorType, outcome.errorType ?? looseErrorType(payloads, isTool: operation == .executeTool))
    }

    /// The type of an error whose status code is not in capitals: the status stays unset (`otel-projections.md` 1.5).
    private static func looseErrorType(_ payloads: EventPayloads, isTool: Bool) -> String? {
        guard isFailure(payloads), payloads.metadata?["otel.status_code"] != "ERROR" else { return nil }
        return GenAILookup(payloads, readsData: !isTool || payloads.isStrict).text("error.type", "error_type")
            ?? "_OTHER"
    }

    /// Whether the end tells of an error, in letters of any case.
    private static func isFailure(_ payloads: EventPayloads) -> Bool {
        payloads.metadata?["otel.status_code"]?.stringValue?.lowercased() == "error"
    }

    /// Nil for scopes without a meaning in the conventions.
    private static func operation(_ event: Event, _ payloads: EventPayloads) -> GenAIConventions.Operation? {
        switch event.category?.known ?? .unknown {
        case .agent: .invokeAgent
        case .llm: .inference
        case .tool: .executeTool
        case .retriever: .retrieval
        case .embedder: .embeddings
        // A turn of a coding agent is an invocation, whatever its category.
        case .custom: payloads.metadata?["nemo_relay_scope_role"] == "turn" ? .invokeAgent : nil
        case .function, .reranker, .guardrail, .evaluator, .unknown: nil
        }
    }

    private static func name(_ operation: String, _ qualifier: String?) -> String {
        guard let qualifier, !qualifier.isEmpty else { return operation }
        return "\(operation) \(qualifier)"
    }

    // MARK: Agents and tools

    private static func addAgent(
        _ event: Event, _ payloads: EventPayloads, _ attributes: inout [Attribute]
    ) -> String {
        let lookup = GenAILookup(payloads)
        let isAgent = event.category?.known == .agent
        let agent = lookup.text("gen_ai.agent.name") ?? (isAgent ? event.name : nil)
        attributes.append(Names.operationName, "invoke_agent")
        addConversation(lookup, &attributes)
        attributes.append(Names.agentName, agent)
        attributes.append(Names.agentDescription, lookup.text("gen_ai.agent.description", "agent_description"))
        if isAgent { attributes.append(Names.requestModel, lookup.words("gen_ai.request.model")) }
        return name("invoke_agent", agent)
    }

    private static func addTool(
        _ event: Event, _ payloads: EventPayloads, _ attributes: inout [Attribute]
    ) -> String {
        let lookup = GenAILookup(payloads, readsData: payloads.isStrict)
        let tool = lookup.fact(["gen_ai.tool.name"]) ?? event.name
        attributes.append(Names.operationName, "execute_tool")
        addConversation(lookup, &attributes)
        attributes.append(Names.toolName, tool)
        addFacts(lookup, payloads, &attributes)
        attributes.append(Names.toolCallArguments, toolPayload(payloads.data))
        return name("execute_tool", tool)
    }

    /// Arguments or a result as JSON text. A text that is JSON counts as what it says, and null says nothing.
    private static func toolPayload(_ data: JSONValue?) -> String? {
        let value = data?.stringValue.map(ToolCall.parsedArguments) ?? data
        return value?.nonNull?.compactText
    }

    /// Where a tool's metadata says it: hooks of coding agents know some of it at the end only, so what the start did not say is
    /// taken from there.
    private static let facts: [(name: Names.Name, keys: [String])] = [
        (Names.toolType, ["gen_ai.tool.type", "tool_type"]),
        (Names.toolCallID, ["gen_ai.tool.call.id", "tool_call_id"]),
        (Names.toolDescription, ["gen_ai.tool.description", "tool_description", "description"]),
        (Names.agentName, ["gen_ai.agent.name", "agent_name"]),
    ]

    private static func addFacts(_ lookup: GenAILookup, _ payloads: EventPayloads, _ attributes: inout [Attribute]) {
        if !attributes.contains(where: { $0.key == Names.toolCallID.key }) {
            attributes.append(Names.toolCallID, GenAILookup.notBlank(payloads.profile("tool_call_id")))
        }
        for fact in facts where !attributes.contains(where: { $0.key == fact.name.key }) {
            attributes.append(fact.name, lookup.fact(fact.keys))
        }
    }

    private static func addConversation(_ lookup: GenAILookup, _ attributes: inout [Attribute]) {
        attributes.append(
            Names.conversationID,
            lookup.text("gen_ai.conversation.id", "conversation_id", "session_id", "thread_id"))
    }

    // MARK: Retrievals and embeddings

    private static func addRetrieval(
        _ event: Event, _ payloads: EventPayloads, _ attributes: inout [Attribute]
    ) -> String {
        let lookup = GenAILookup(payloads)
        let request = LLMNormalizer.request(
            profile: payloads.profile, data: payloads.data, name: event.name, payloads.compatibility)
        let source = lookup.text("gen_ai.data_source.id", "data_source_id", "index_name", "collection_name")
        attributes.append(Names.operationName, "retrieval")
        addServer(lookup, provider(lookup, LowercaseName(event.name), request?.api), &attributes)
        attributes.append(Names.dataSourceID, source)
        attributes.append(Names.requestModel, requestModel(payloads, lookup, request))
        attributes.append(Names.retrievalTopK, lookup.integer("gen_ai.retrieval.top_k", "top_k"))
        return name("retrieval", source)
    }

    private static func addEmbeddings(
        _ event: Event, _ payloads: EventPayloads, _ attributes: inout [Attribute]
    ) -> String {
        let lookup = GenAILookup(payloads)
        let request = LLMNormalizer.request(
            profile: payloads.profile, data: payloads.data, name: event.name, payloads.compatibility)
        let model = requestModel(payloads, lookup, request)
        attributes.append(Names.operationName, "embeddings")
        addServer(lookup, provider(lookup, LowercaseName(event.name), request?.api), &attributes)
        attributes.append(Names.requestModel, model)
        attributes.append(
            Names.dimensionCount, lookup.integer("gen_ai.embeddings.dimension.count", "dimensions", least: 1))
        attributes.append(
            Names.encodingFormats,
            lookup.list("gen_ai.request.encoding_formats", "encoding_formats", "encoding_format"))
        return name("embeddings", model)
    }

    private static func requestModel(
        _ payloads: EventPayloads, _ lookup: GenAILookup, _ request: NormalizedRequest?
    ) -> String? {
        request?.model ?? payloads.profile("model_name")?.stringValue
            ?? lookup.text("gen_ai.request.model", "model", "model_name")
    }

    private static func provider(_ lookup: GenAILookup, _ name: LowercaseName, _ api: String?) -> String? {
        lookup.text("gen_ai.provider.name", "provider_name", "provider")
            ?? GenAIProvider.ofName(name) ?? GenAIProvider.ofAPI(api)
    }

    private static func addServer(_ lookup: GenAILookup, _ provider: String?, _ attributes: inout [Attribute]) {
        attributes.append(Names.providerName, provider)
        attributes.append(Names.serverAddress, lookup.text("server.address", "server_address"))
        attributes.append(Names.serverPort, lookup.integer("server.port", "server_port"))
    }

    // MARK: Models

    private static func addInference(
        _ event: Event, _ payloads: EventPayloads, _ attributes: inout [Attribute]
    ) -> String {
        let lookup = GenAILookup(payloads)
        let request = LLMNormalizer.request(
            profile: payloads.profile, data: payloads.data, name: event.name, payloads.compatibility)
        let eventName = LowercaseName(event.name)
        let operation = inferenceOperation(eventName)
        // Of the name, wherever a model is named.
        let qualifier = requestModel(payloads, lookup, request)
        attributes.append(Names.operationName, operation)
        addServer(lookup, provider(lookup, eventName, request?.api), &attributes)
        addConversation(lookup, &attributes)
        // As the request says it, or the profile beside it.
        let model = request == nil ? qualifier : request?.model ?? payloads.profile("model_name")?.stringValue
        attributes.append(Names.requestModel, model)
        if let request { addRequest(request, lookup, &attributes) }
        return name(operation, qualifier)
    }

    /// Of the measurements of a model call, from its end alone: what the start asked for is not looked at.
    ///
    /// - Returns: nil where the reference is followed and nobody says who the provider is.
    static func measured(end event: Event, _ payloads: EventPayloads) -> [Attribute]? {
        let lookup = GenAILookup(payloads)
        let eventName = LowercaseName(event.name)
        // The reference reads annotations alone, and takes the model that an answer names for the one that was asked for.
        let response =
            payloads.isStrict
            ? LLMNormalizer.annotatedResponse(payloads.profile, data: payloads.data)
            : LLMNormalizer.response(profile: payloads.profile, data: payloads.data, payloads.compatibility)
        let provider = provider(lookup, eventName, payloads.isStrict ? nil : response?.api)
        if provider == nil, payloads.isStrict { return nil }
        let said = GenAILookup(payloads, readsData: payloads.isStrict)
        var attributes: [Attribute] = []
        attributes.append(Names.operationName, inferenceOperation(eventName))
        addServer(lookup, provider, &attributes)
        attributes.append(Names.requestModel, requestModel(payloads, said, nil))
        attributes.append(Names.responseModel, response?.model)
        return attributes
    }

    private static func inferenceOperation(_ name: LowercaseName) -> String {
        if name.contains("generate_content") || name.contains("generatecontent") { return "generate_content" }
        return name.contains("completion") && !name.contains("chat") ? "text_completion" : "chat"
    }

    private static func addRequest(
        _ request: NormalizedRequest, _ lookup: GenAILookup, _ attributes: inout [Attribute]
    ) {
        let parameters = request.parameters
        attributes.append(Names.temperature, parameters?.temperature)
        attributes.append(Names.topP, parameters?.topP)
        if let stop = parameters?.stop { attributes.append(Attribute(Names.stopSequences.key, .strings(stop))) }
        attributes.append(
            Names.maxTokens, count: request.others["max_output_tokens"]?.uint64Value ?? parameters?.maxTokens)
        if request.others["stream"]?.boolValue == true {
            attributes.append(Attribute(Names.stream.key, .bool(true)))
        }
        let own = request.others["api_specific"]
        attributes.append(Names.outputType, lookup.words(Names.outputType.key) ?? outputType(request.api, own))
        let effort = request.others["reasoning"]?["effort"]?.stringValue.map { .string($0) } ?? own?["reasoning_effort"]
        attributes.append(
            Names.reasoningLevel, lookup.words(Names.reasoningLevel.key) ?? GenAILookup.notBlank(effort))
        attributes.append(Names.previousResponseID, request.others["previous_response_id"]?.stringValue)
        attributes.append(Names.systemInstructions, GenAIMessages.instructions(request.instructions))
        attributes.append(Names.inputMessages, GenAIMessages.input(request.messages))
        switch request.api {
        case "anthropic_messages": attributes.append(Names.topK, count: own?["top_k"]?.uint64Value)
        case "openai_chat":
            attributes.append(Names.frequencyPenalty, own?["frequency_penalty"]?.numberValue)
            attributes.append(Names.presencePenalty, own?["presence_penalty"]?.numberValue)
            if let count = own?["n"]?.uint64Value, count != 1 { attributes.append(Names.choiceCount, count: count) }
            attributes.append(Names.seed, own?["seed"]?.int64Value)
        case nil, .some: break
        }
        attributes.append(Names.toolDefinitions, GenAIMessages.definitions(request.tools))
    }

    /// What a request of OpenAI's asks for beside text.
    private static func outputType(_ api: String?, _ own: JSONValue?) -> String? {
        switch api {
        case "openai_chat":
            if isJSON(own?["response_format"]) { return "json" }
            let words = ["audio": "speech", "text": "text"]
            guard let modalities = own?["modalities"]?.arrayValue, modalities.count == 1 else { return nil }
            return modalities[0].stringValue.flatMap { words[$0] }
        case "openai_responses": return isJSON(own?["text"]?["format"]) ? "json" : nil
        case nil, .some: return nil
        }
    }

    private static func isJSON(_ format: JSONValue?) -> Bool {
        ["json_object", "json_schema"].contains(format?["type"]?.stringValue)
    }

    private static func addResponse(_ event: Event, _ payloads: EventPayloads, _ attributes: inout [Attribute]) {
        attributes.append(Names.timeToFirstChunk, payloads.profile("time_to_first_chunk")?.numberValue)
        guard
            let response = LLMNormalizer.response(
                profile: payloads.profile, data: payloads.data, payloads.compatibility)
        else { return }
        attributes.append(Names.responseID, response.id)
        attributes.append(Names.responseModel, response.model)
        if let reason = response.finishReason {
            attributes.append(Attribute(Names.finishReasons.key, .strings([GenAIMessages.word(reason)])))
        }
        attributes.append(Names.outputMessages, GenAIMessages.output(response))
        let usage = response.usage ?? Usage()
        attributes.append(Names.inputTokens, count: input(usage, of: response, event, payloads))
        attributes.append(Names.outputTokens, count: usage.completionTokens)
        attributes.append(Names.cacheReadTokens, count: usage.cacheReadTokens)
        attributes.append(Names.cacheWriteTokens, count: usage.cacheWriteTokens)
        // The normalised usage has no place for the part of the completion that was reasoning.
        let own = response.others["api_specific"]
        let reasoning = own?["output_tokens_details"]?["reasoning_tokens"] ?? own?["thoughts_tokens"]
        attributes.append(
            Names.reasoningTokens,
            count: GenAILookup(payloads).integer(Names.reasoningTokens.key, least: 0).map { UInt64($0) }
                ?? reasoning?.uint64Value)
    }

    private static func input(
        _ usage: Usage, of response: NormalizedResponse, _ event: Event, _ payloads: EventPayloads
    ) -> UInt64? {
        // Without caches there is nothing to add, whoever the provider is.
        guard usage.cacheReadTokens != nil || usage.cacheWriteTokens != nil else { return usage.promptTokens }
        let provider = provider(GenAILookup(payloads), LowercaseName(event.name), nil)
        let isSeparate = Usage.isCacheSeparate(
            response, provider: provider, usage: usage, isStrict: payloads.isStrict)
        return isSeparate ? usage.promptWithCaches : usage.promptTokens
    }
}
