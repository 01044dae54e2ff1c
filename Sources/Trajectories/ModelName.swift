internal import ATOF
internal import LLMCodecs

/// Which model answered a call (`atif-trajectories.md` 3.13).
enum ModelName {
    /// - Parameters:
    ///   - data: what the call ended with.
    ///   - start: asked for only when it is needed.
    static func of(
        end: ScopeEvent, data: JSONValue?, response: NormalizedResponse?, start: @autoclosure () -> ScopeEvent?,
        _ compatibility: Compatibility
    ) -> String? {
        response?.model ?? data?["model"]?.stringValue ?? requested(end: end, start: start(), compatibility)
    }

    /// Which model was asked for.
    static func requested(end: ScopeEvent, start: ScopeEvent?, _ compatibility: Compatibility) -> String? {
        end.profileModel ?? start.flatMap { requested($0, compatibility) }
    }

    private static func requested(_ start: ScopeEvent, _ compatibility: Compatibility) -> String? {
        if let model = start.profileModel { return model }
        let data = start.data
        return LLMNormalizer.request(profile: start.annotatedProfile, data: data, name: start.name, compatibility)?
            .model
            ?? data?["model"]?.stringValue
    }
}
