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
            // What a command with a mistyped path writes must not take the policy away.
            guard text.contains(where: { !$0.isWhitespace }) else {
                throw ConfigurationError(diagnostics: [
                    Diagnostic(
                        .error, "configuration.malformed", field: ConfigurationSource.sharedName,
                        "is empty; put a TOML document there, or delete the key to go on without one")
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

    /// Nil when there is no document.
    ///
    /// - Parameter known: whether there was one. Then nil is only what somebody has deleted: that a bucket was lost, and created again by
    ///   whoever started next, takes nobody's policy away.
    /// - Throws: `NATSError`; `CollectorError` that says what to do when the document is lost.
    func read(known: Bool = false) async throws -> Document? {
        if let entry = try await entries.get(SharedPolicy.key, fromLeader: true) { return Document(entry) }
        guard known, try await !entries.wasDeleted(SharedPolicy.key) else { return nil }
        throw CollectorError(
            "the bucket \(SharedPolicy.bucket) was lost and is empty; put the document into its key \(SharedPolicy.key) again, or "
                + "delete that key to go on without one")
    }

    /// A message for every write of the key; those that come while nobody listens are found by looking now and then.
    func changes() async throws(NATSError) -> NATSSubscription {
        try await jetStream.connection.subscribe(
            subject: "$KV.\(SharedPolicy.bucket).\(SharedPolicy.key)", capacity: 1)
    }
}
