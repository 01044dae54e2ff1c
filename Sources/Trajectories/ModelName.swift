internal import ATOF
internal import LLMCodecs

/// Which model answered a call (`atif-trajectories.md` 3.13).
enum ModelName {
    static func of(end: ScopeEvent, response: NormalizedResponse?, start: ScopeEvent?) -> String? {
        response?.model ?? end.data?["model"]?.stringValue ?? requested(end: end, start: start)
    }

    /// Which model was asked for.
    static func requested(end: ScopeEvent, start: ScopeEvent?) -> String? {
        end.profileModel ?? start.flatMap(requested)
    }

    private static func requested(_ start: ScopeEvent) -> String? {
        start.profileModel
            ?? LLMNormalizer.request(profile: start.profile, data: start.data, name: start.name)?.model
            ?? start.data?["model"]?.stringValue
    }
}
