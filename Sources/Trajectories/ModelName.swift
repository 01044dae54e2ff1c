internal import ATOF
internal import LLMCodecs

/// Which model answered a call (`atif-trajectories.md` 3.13).
enum ModelName {
    /// - Parameters:
    ///   - data: what the call ended with.
    ///   - start: asked for only when it is needed.
    static func of(
        end: ScopeEvent, data: JSONValue?, response: NormalizedResponse?, start: @autoclosure () -> ScopeEvent?
    ) -> String? {
        response?.model ?? data?["model"]?.stringValue ?? requested(end: end, start: start())
    }

    /// Which model was asked for.
    static func requested(end: ScopeEvent, start: ScopeEvent?) -> String? {
        end.profileModel ?? start.flatMap(requested)
    }

    private static func requested(_ start: ScopeEvent) -> String? {
        if let model = start.profileModel { return model }
        let data = start.data
        return LLMNormalizer.request(profile: start.annotatedProfile, data: data, name: start.name)?.model
            ?? data?["model"]?.stringValue
    }
}
