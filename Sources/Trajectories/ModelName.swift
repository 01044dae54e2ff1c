internal import ATOF
internal import LLMCodecs

/// Which model answered a call (`atif-trajectories.md` 3.13).
enum ModelName {
    static func of(end: ScopeEvent, response: NormalizedResponse?, start: ScopeEvent?) -> String? {
        response?.model ?? end.data?["model"]?.stringValue ?? end.profileModel ?? start.flatMap(requested)
    }

    private static func requested(_ start: ScopeEvent) -> String? {
        start.profileModel
            ?? LLMNormalizer.request(profile: start.profile, data: start.data, name: start.name)?.model
            ?? start.data?["model"]?.stringValue
    }
}
