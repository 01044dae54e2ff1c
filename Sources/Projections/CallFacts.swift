internal import ATOF
internal import LLMCodecs

/// What the conventions for generative AI call a model call, from its start event (`otel-projections.md` 1.3, 3.3.1).
enum CallFacts {
    /// Operation, provider and model, in the order of their keys.
    static func attributes(ofStart event: Event) -> [Attribute] {
        let profile = event.categoryProfile?.value.nonNull
        let metadata = event.metadata?.value.nonNull
        let data = event.data?.value.nonNull
        let request = LLMNormalizer.request(profile: profile, data: data, name: event.name)
        func text(_ keys: [String]) -> String? { lookUp(keys, profile, metadata, data) }
        let name = event.name.lowercased()
        var model = request?.model ?? profile?["model_name"]?.stringValue
        // A request that was understood says all there is to say about its model.
        if model == nil, request == nil { model = text(["gen_ai.request.model", "model", "model_name"]) }
        let provider =
            text(["gen_ai.provider.name", "provider_name", "provider"]) ?? provider(ofName: name)
            ?? provider(ofAPI: request?.api)
        var attributes = [Attribute("gen_ai.operation.name", operation(ofName: name))]
        if let provider { attributes.append(Attribute("gen_ai.provider.name", provider)) }
        if let model { attributes.append(Attribute("gen_ai.request.model", model)) }
        return attributes
    }

    private static func operation(ofName name: String) -> String {
        if name.contains("generate_content") || name.contains("generatecontent") { return "generate_content" }
        return name.contains("completion") && !name.contains("chat") ? "text_completion" : "chat"
    }

    private static let providers = [
        ("azure_ai_inference", "azure.ai.inference"), ("azure ai inference", "azure.ai.inference"),
        ("azure_openai", "azure.ai.openai"), ("azure openai", "azure.ai.openai"), ("anthropic", "anthropic"),
        ("claude", "anthropic"), ("bedrock", "aws.bedrock"), ("cohere", "cohere"), ("deepseek", "deepseek"),
        ("gemini", "gcp.gemini"), ("vertex", "gcp.vertex_ai"), ("groq", "groq"), ("mistral", "mistral_ai"),
        ("openai", "openai"), ("gpt", "openai"), ("perplexity", "perplexity"),
    ]

    private static func provider(ofName name: String) -> String? { providers.first { name.contains($0.0) }?.1 }

    private static func provider(ofAPI api: String?) -> String? {
        switch api {
        case "anthropic_messages"?: "anthropic"
        case "openai_chat"?, "openai_responses"?: "openai"
        case "oci_genai"?: "oci.genai"
        default: nil
        }
    }

    // MARK: Lookup

    private static let modelled: Set<String> = [
        "model_name", "tool_call_id", "subtype", "tool_result_annotation", "annotated_request", "annotated_response",
    ]

    /// The first of the keys that has a scalar: among the profile's own keys, then in metadata, then in data.
    private static func lookUp(
        _ keys: [String], _ profile: JSONValue?, _ metadata: JSONValue?, _ data: JSONValue?
    ) -> String? {
        for key in keys where !modelled.contains(key) {
            if let found = profile?[key].flatMap(text) { return found }
        }
        for source in [metadata, data] {
            for key in keys { if let found = member(key, of: source).flatMap(text) { return found } }
        }
        return nil
    }

    private static func member(_ key: String, of source: JSONValue?) -> JSONValue? {
        if let own = source?[key] { return own }
        for part in ["usage", "request", "response"] {
            if let found = source?[part]?[key] { return found }
        }
        return nil
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .bool, .int, .unsigned, .double: value.compactText
        case .null, .array, .object: nil
        }
    }
}
