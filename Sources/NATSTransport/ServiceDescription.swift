/// How a NATS service presents itself to discovery (ADR-32, the "micro" protocol).
package struct ServiceDescription: Sendable, Hashable {
    /// A subject that the service answers, and who shares its requests.
    package struct Endpoint: Sendable, Hashable {
        /// Made of letters, digits, `_` and `-`.
        package let name: String
        /// May have wildcards.
        package let subject: String
        /// Services of one queue share the requests.
        package let queue: String

        package init(name: String, subject: String, queue: String) {
            self.name = name
            self.subject = subject
            self.queue = queue
        }
    }

    /// Made of letters, digits, `_` and `-`; the same for all that do the same.
    package let name: String
    /// This one of them.
    package let id: String
    /// A semantic version.
    package let version: String
    package let text: String
    package let metadata: [String: String]
    package let endpoints: [Endpoint]

    package init(
        name: String, id: String, version: String, text: String, metadata: [String: String] = [:],
        endpoints: [Endpoint]
    ) {
        self.name = name
        self.id = id
        self.version = version
        self.text = text
        self.metadata = metadata
        self.endpoints = endpoints
    }
}
