/// The attributes of the OpenTelemetry conventions for generative AI that Skein exports: the only place with their names.
///
/// The conventions are in development and have no releases; these are the names of `open-telemetry/semantic-conventions-genai`
/// after `gen_ai.usage.cache_write.input_tokens` got its name, of which NeMo Relay 0.10.4 exports the same ones.
enum GenAIConventions {
    /// The general conventions that the ones for generative AI refer to, and the date since which the names above are theirs.
    static let version = "1.41.1, genai as of NeMo Relay 0.10.4"

    /// What a span describes; `gen_ai.operation.name` says it.
    enum Operation: Sendable, Hashable, CaseIterable {
        case invokeAgent
        /// `chat`, `generate_content` and `text_completion`.
        case inference
        case executeTool
        case retrieval
        case embeddings
    }

    /// How strongly the conventions ask for an attribute.
    enum Requirement: Sendable, Hashable {
        case required
        /// When the producer says it, or when the operation failed.
        case conditionallyRequired
        case recommended
        /// Content, which a producer sends or leaves out.
        case optIn
        /// Not among the conventions' attributes of this operation; the reference exports it.
        case addition
    }

    /// The type of an attribute's value. The conventions allow any value for content; it is exported as JSON text.
    enum ValueType: Sendable, Hashable {
        case string, int, double, bool, strings, json
    }

    /// One attribute, and what the conventions say of it.
    struct Name: Sendable, Hashable {
        let key: String
        let type: ValueType
        /// By operation; it occurs on no other.
        let requirements: [Operation: Requirement]

        init(_ key: String, _ type: ValueType, _ requirements: [Operation: Requirement]) {
            self.key = key
            self.type = type
            self.requirements = requirements
        }

        init(_ key: String, _ type: ValueType, onAll requirement: Requirement) {
            self.init(
                key, type, Dictionary(uniqueKeysWithValues: Operation.allCases.map { ($0, requirement) }))
        }
    }

    // MARK: All operations

    static let operationName = Name("gen_ai.operation.name", .string, onAll: .required)
    static let errorType = Name("error.type", .string, onAll: .conditionallyRequired)

    // MARK: Providers and models

    /// Required of inference and embeddings, where the reference leaves it out when it is unknown.
    static let providerName = Name(
        "gen_ai.provider.name", .string,
        [.inference: .conditionallyRequired, .retrieval: .conditionallyRequired, .embeddings: .conditionallyRequired])
    static let serverAddress = Name(
        "server.address", .string, [.inference: .recommended, .retrieval: .recommended, .embeddings: .recommended])
    static let serverPort = Name(
        "server.port", .int,
        [.inference: .conditionallyRequired, .retrieval: .conditionallyRequired, .embeddings: .conditionallyRequired])
    static let requestModel = Name(
        "gen_ai.request.model", .string,
        [
            .invokeAgent: .conditionallyRequired, .inference: .conditionallyRequired,
            .retrieval: .conditionallyRequired, .embeddings: .conditionallyRequired,
        ])
    static let responseModel = Name(
        "gen_ai.response.model", .string, [.inference: .recommended, .embeddings: .recommended])

    // MARK: Agents

    static let conversationID = Name(
        "gen_ai.conversation.id", .string,
        [.invokeAgent: .conditionallyRequired, .inference: .conditionallyRequired, .executeTool: .addition])
    /// Of tools it is the agent that calls; hooks of coding agents tell it.
    static let agentName = Name(
        "gen_ai.agent.name", .string, [.invokeAgent: .conditionallyRequired, .executeTool: .addition])
    static let agentDescription = Name("gen_ai.agent.description", .string, [.invokeAgent: .conditionallyRequired])

    // MARK: Tools

    static let toolName = Name("gen_ai.tool.name", .string, [.executeTool: .required])
    static let toolType = Name("gen_ai.tool.type", .string, [.executeTool: .recommended])
    static let toolCallID = Name("gen_ai.tool.call.id", .string, [.executeTool: .recommended])
    static let toolDescription = Name("gen_ai.tool.description", .string, [.executeTool: .recommended])
    static let toolCallArguments = Name("gen_ai.tool.call.arguments", .json, [.executeTool: .optIn])
    static let toolCallResult = Name("gen_ai.tool.call.result", .json, [.executeTool: .optIn])

    // MARK: Retrievals

    static let dataSourceID = Name("gen_ai.data_source.id", .string, [.retrieval: .conditionallyRequired])
    static let retrievalTopK = Name("gen_ai.retrieval.top_k", .int, [.retrieval: .addition])

    // MARK: Embeddings

    static let dimensionCount = Name("gen_ai.embeddings.dimension.count", .int, [.embeddings: .recommended])
    static let encodingFormats = Name("gen_ai.request.encoding_formats", .strings, [.embeddings: .recommended])

    // MARK: Requests of models

    static let outputType = Name("gen_ai.output.type", .string, [.inference: .conditionallyRequired])

    static let temperature = Name("gen_ai.request.temperature", .double, [.inference: .recommended])
    static let topP = Name("gen_ai.request.top_p", .double, [.inference: .recommended])
    static let stopSequences = Name("gen_ai.request.stop_sequences", .strings, [.inference: .recommended])
    static let maxTokens = Name("gen_ai.request.max_tokens", .int, [.inference: .recommended])
    static let stream = Name("gen_ai.request.stream", .bool, [.inference: .conditionallyRequired])
    static let reasoningLevel = Name("gen_ai.request.reasoning.level", .string, [.inference: .recommended])
    static let previousResponseID = Name("gen_ai.request.previous_response.id", .string, [.inference: .recommended])
    /// A double in the conventions; the reference exports the integer that Anthropic takes.
    static let topK = Name("gen_ai.request.top_k", .int, [.inference: .conditionallyRequired])
    static let frequencyPenalty = Name("gen_ai.request.frequency_penalty", .double, [.inference: .recommended])
    static let presencePenalty = Name("gen_ai.request.presence_penalty", .double, [.inference: .recommended])
    static let choiceCount = Name("gen_ai.request.choice.count", .int, [.inference: .conditionallyRequired])
    static let seed = Name("gen_ai.request.seed", .int, [.inference: .conditionallyRequired])
    static let systemInstructions = Name("gen_ai.system_instructions", .json, [.inference: .optIn])
    static let inputMessages = Name("gen_ai.input.messages", .json, [.inference: .optIn])
    static let toolDefinitions = Name("gen_ai.tool.definitions", .json, [.inference: .optIn])

    // MARK: Responses of models

    static let timeToFirstChunk = Name("gen_ai.response.time_to_first_chunk", .double, [.inference: .recommended])
    static let responseID = Name("gen_ai.response.id", .string, [.inference: .recommended])
    static let finishReasons = Name("gen_ai.response.finish_reasons", .strings, [.inference: .recommended])
    static let outputMessages = Name("gen_ai.output.messages", .json, [.inference: .optIn])
    static let inputTokens = Name(
        "gen_ai.usage.input_tokens", .int, [.inference: .recommended, .embeddings: .recommended])
    static let outputTokens = Name("gen_ai.usage.output_tokens", .int, [.inference: .recommended])
    static let cacheReadTokens = Name("gen_ai.usage.cache_read.input_tokens", .int, [.inference: .recommended])
    static let cacheWriteTokens = Name("gen_ai.usage.cache_write.input_tokens", .int, [.inference: .recommended])
    static let reasoningTokens = Name("gen_ai.usage.reasoning.output_tokens", .int, [.inference: .recommended])

    static let all = [
        operationName, errorType, providerName, serverAddress, serverPort, requestModel, responseModel, conversationID,
        agentName, agentDescription, toolName, toolType, toolCallID, toolDescription, toolCallArguments, toolCallResult,
        dataSourceID, retrievalTopK, dimensionCount, encodingFormats, outputType, temperature, topP, stopSequences,
        maxTokens, stream, reasoningLevel,
        previousResponseID, topK, frequencyPenalty, presencePenalty, choiceCount, seed, systemInstructions,
        inputMessages, toolDefinitions, timeToFirstChunk, responseID, finishReasons, outputMessages, inputTokens,
        outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens,
    ]
}

extension [Attribute] {
    mutating func append(_ name: GenAIConventions.Name, _ text: String?) {
        if let text { append(Attribute(name.key, .string(text))) }
    }

    mutating func append(_ name: GenAIConventions.Name, _ texts: [String]?) {
        if let texts { append(Attribute(name.key, .strings(texts))) }
    }

    mutating func append(_ name: GenAIConventions.Name, _ number: Int64?) {
        if let number { append(Attribute(name.key, .int(number))) }
    }

    /// Counts beyond OTLP's signed integers are left out.
    mutating func append(_ name: GenAIConventions.Name, count: UInt64?) {
        append(name, count.flatMap { Int64(exactly: $0) })
    }

    mutating func append(_ name: GenAIConventions.Name, _ number: Double?) {
        if let number { append(Attribute(name.key, .double(number))) }
    }
}
