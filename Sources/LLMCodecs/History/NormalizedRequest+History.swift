internal import ATOF

extension NormalizedRequest {
    /// The request without the turns that earlier calls have told: what the last user message starts, and the system
    /// messages before it. Only the roles `user` and `system` count, not what is the provider's own
    /// (`codecs-and-pricing.md` 6).
    ///
    /// - Returns: nil when all messages stay.
    package var withoutToldHistory: NormalizedRequest? {
        let start = messages.lastIndex { $0.role == .user } ?? messages.indices.last ?? 0
        let kept = messages.enumerated().filter { $0.offset >= start || $0.element.role == .system }.map(\.element)
        return kept.count == messages.count ? nil : replacing(messages: kept)
    }
}
