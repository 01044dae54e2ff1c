internal import NATSTransport

/// A document in a key-value bucket that is the highest layer of all collectors that ask for it (`collector.shared_policy`).
struct SharedPolicy: Sendable {
    static let bucket = "skein_config"
    static let key = "policy"

    private let jetStream: JetStream
    private let entries: KeyValueBucket

    struct Document: Sendable, Equatable {
        let revision: UInt64
        private let bytes: [UInt8]

        fileprivate init(_ entry: KeyValueBucket.Entry) {
            revision = entry.revision
            bytes = entry.value
        }

        /// - Throws: `ConfigurationError` for what is no text.
        func text() throws(ConfigurationError) -> String {
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw ConfigurationError(diagnostics: [
                    Diagnostic(
                        .error, "configuration.unreadable", field: ConfigurationSource.sharedName,
                        "is no UTF-8 text; put a TOML document there, or delete the key")
                ])
            }
            return text
        }
    }

    /// Creates the bucket when it is missing.
    init(_ jetStream: JetStream, replicas: Int) async throws(NATSError) {
        self.jetStream = jetStream
        entries = try await KeyValueBucket.open(jetStream, name: SharedPolicy.bucket, replicas: replicas)
    }

    /// Nil when the key is absent.
    func read() async throws(NATSError) -> Document? {
        try await entries.get(SharedPolicy.key, fromLeader: true).map(Document.init)
    }

    /// A message for every write of the key; those that come while nobody listens are found by looking now and then.
    func changes() async throws(NATSError) -> NATSSubscription {
        try await jetStream.connection.subscribe(
            subject: "$KV.\(SharedPolicy.bucket).\(SharedPolicy.key)", capacity: 1)
    }
}
