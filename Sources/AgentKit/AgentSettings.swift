/// What an agent's runtime does.
public struct AgentSettings: Sendable {
    /// Model calls publish the whole history every time, not only what earlier calls of the agent have not told.
    public var publishesFullHistory: Bool
    /// Asks the collectors before tools and models are called; nil asks nobody.
    public var remoteGuards: RemoteGuards?
    /// Tells models' servers what is known about the agent's calls; nil tells nothing.
    public var hints: RemoteHints?

    /// Nothing but the defaults, unless said otherwise.
    public init(publishesFullHistory: Bool = false, remoteGuards: RemoteGuards? = nil, hints: RemoteHints? = nil) {
        self.publishesFullHistory = publishesFullHistory
        self.remoteGuards = remoteGuards
        self.hints = hints
    }
}
