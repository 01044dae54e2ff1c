/// Who serves a model, from what an event's name contains (`otel-projections.md` 3.3.1).
package enum GenAIProvider {
    /// The first part that the name has wins.
    private static let names: [(part: StaticString, provider: String)] = [
        ("azure_ai_inference", "azure.ai.inference"), ("azure ai inference", "azure.ai.inference"),
        ("azure_openai", "azure.ai.openai"), ("azure openai", "azure.ai.openai"), ("anthropic", "anthropic"),
        ("claude", "anthropic"), ("bedrock", "aws.bedrock"), ("cohere", "cohere"), ("deepseek", "deepseek"),
        ("gemini", "gcp.gemini"), ("vertex", "gcp.vertex_ai"), ("groq", "groq"), ("mistral", "mistral_ai"),
        ("openai", "openai"), ("gpt", "openai"), ("perplexity", "perplexity"),
    ]

    package static func ofName(_ name: LowercaseName) -> String? { names.first { name.contains($0.part) }?.provider }

    /// Who is asked with requests of a surface.
    ///
    /// - Parameter api: the surface of a normalised request; Gemini has none.
    package static func ofAPI(_ api: String?) -> String? {
        switch api {
        case "anthropic_messages"?: "anthropic"
        case "openai_chat"?, "openai_responses"?: "openai"
        case "oci_genai"?: "oci.genai"
        case nil, .some: nil
        }
    }
}

/// An event's name with ASCII letters in lower case, to be searched.
package struct LowercaseName {
    private let bytes: [UInt8]

    package init(_ name: String) {
        bytes = name.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }

    /// Whether the part, in lower case, is anywhere in the name.
    package func contains(_ part: StaticString) -> Bool {
        part.withUTF8Buffer { part in
            guard let first = part.first, bytes.count >= part.count else { return false }
            return (0...(bytes.count - part.count)).contains { start in
                bytes[start] == first && bytes[start..<(start + part.count)].elementsEqual(part)
            }
        }
    }
}
