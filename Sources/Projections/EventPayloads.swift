internal import ATOF
internal import LLMCodecs

/// An event's payloads, parsed once, with the metadata that is not promoted.
struct EventPayloads {
    let data: JSONValue?
    /// All of the metadata; status and session are read from here.
    let metadata: JSONValue?
    let profile: JSONValue?
    var promotion: MetadataPromotion
    let compatibility: Compatibility
    /// Whether they are to be told as the reference does where it loses or distorts something.
    var isStrict: Bool { compatibility == .strict }

    init(_ event: Event, configuration: ProjectionConfiguration, diagnostics: inout ProjectionDiagnostics) {
        compatibility = configuration.compatibility
        data = event.data?.value.nonNull
        metadata = event.metadata?.value.nonNull
        profile = event.categoryProfile?.value.nonNull
        // Scopes keep the names of aliases free, whether these come about or not; of marks it is known when their attributes are.
        let aliases = event.isMark ? [] : configuration.attributeMappings
        promotion = MetadataPromotion(
            metadata: metadata, prefixes: configuration.promoteMetadataPrefixes, diagnostics: &diagnostics
        ) { key in aliases.contains { $0.alias == key } }
    }

    /// What a provider sent in the place of the answer of a model call.
    var providerError: ProviderError? {
        guard let data else { return nil }
        return LLMNormalizer.error(
            profile: profile, answer: LLMNormalizer.answer(data), isStreamed: data.objectValue == nil)
    }

    /// A member of the category profile; null is the same as absent.
    func profile(_ key: String) -> JSONValue? { profile?[key]?.nonNull }
}
