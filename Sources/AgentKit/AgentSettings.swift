/// What an agent's runtime does.
public struct AgentSettings: Sendable {
    /// Model calls publish the whole history every time, not only what earlier calls of the agent have not told.
    public var publishesFullHistory: Bool
    /// Asks the collectors before tools and models are called; nil asks nobody.
    public var remoteGuards: RemoteGuards?

    /// Nothing but the defaults, unless said otherwise.
    public init(publishesFullHistory: Bool = false, remoteGuards: RemoteGuards? = nil) {
        self.publishesFullHistory = publishesFullHistory
        self.remoteGuards = remoteGuards
    }
}
