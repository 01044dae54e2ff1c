/// A finished trajectory.
public struct Trajectory: Sendable, Hashable {
    /// Whose it is.
    public let tenant: String
    /// The UUID of the scope that it begins with.
    public let id: String
    /// Counted from 1; a higher one replaces a lower one.
    public let revision: UInt64
    /// False when it was closed without the end of its first scope: it idled, or became too old.
    public let isComplete: Bool
    /// The agent's name.
    public let agent: String
    /// The ATIF 1.7 document, as UTF-8.
    public let json: [UInt8]
}
