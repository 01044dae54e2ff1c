/// Says which value of a configuration cannot be used, and how to correct it; or why a publisher has ended or refused an event.
public struct PublisherError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: Sendable, Hashable {
        /// A value of the configuration cannot be used.
        case configuration
        /// The broker refuses the credentials, or the connection cannot be made as configured.
        case refused
        /// The event is larger than the maximum.
        case tooLarge
        /// There was no room in time.
        case timedOut
        /// The publisher has ended.
        case closed
        /// `run` was called before.
        case alreadyRun
    }

    /// What kind of failure it is.
    public let code: Code
    /// One sentence, with what to do.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
