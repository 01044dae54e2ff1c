/// A key-value bucket with compare-and-set: one message for each key in the stream `KV_<bucket>`.
///
/// A key that was deleted is absent. Keys are made of tokens with dots between them.
package struct KeyValueBucket: Sendable {
    package struct Entry: Sendable {
        package let key: String
        package let value: [UInt8]
        /// What a write may expect: the stream sequence of the value, or 0 when the server has forgotten it.
        package let revision: UInt64
        /// Nanoseconds since 1970 at which the server stored it.
        package let created: Int64
    }

    package let name: String
    private let jetStream: JetStream
    private var stream: String { "KV_\(name)" }

    /// Opens the bucket and creates it if it does not exist.
    ///
    /// - Parameter timeToLive: how long a value stays; at least 100 ms.
    /// - Throws: `.configuration` if the bucket exists with other settings, naming them.
    package static func open(
        _ jetStream: JetStream, name: String, timeToLive: Duration? = nil, replicas: Int = 1,
        storage: StreamConfiguration.Storage = .file
    ) async throws(NATSError) -> KeyValueBucket {
        var wanted = StreamConfiguration(name: "KV_\(name)", subjects: ["$KV.\(name).>"])
        wanted.storage = storage
        wanted.discard = .new
        wanted.maxMessagesPerSubject = 1
        wanted.maxAge = timeToLive
        wanted.replicas = replicas
        // The server refuses a window that is longer than the age.
        wanted.duplicateWindow = min(timeToLive ?? .seconds(120), .seconds(120))
        wanted.allowRollup = true
        wanted.denyDelete = true
        let found: StreamInfo
        do throws(NATSError) {
            found = try await jetStream.streamInfo(wanted.name)
        } catch let error where error.code == .notFound {
            found = try await create(jetStream, wanted)
        }
        // How safe its storage is, an operator may have changed.
        wanted.replicas = found.configuration.replicas
        wanted.storage = found.configuration.storage
        let differences = wanted.differences(from: found.configuration)
        guard differences.isEmpty else {
            throw NATSError(
                .configuration, "The bucket \(name) exists with other settings: \(differences.joined(separator: "; "))."
            )
        }
        return KeyValueBucket(name: name, jetStream: jetStream)
    }

    /// A bucket that is there, whatever its settings.
    ///
    /// - Throws: `.notFound`.
    package static func existing(_ jetStream: JetStream, name: String) async throws(NATSError) -> KeyValueBucket {
        _ = try await jetStream.streamInfo("KV_\(name)")
        return KeyValueBucket(name: name, jetStream: jetStream)
    }

    /// What somebody else creates at the same time counts.
    private static func create(
        _ jetStream: JetStream, _ wanted: StreamConfiguration
    ) async throws(NATSError) -> StreamInfo {
        do throws(NATSError) {
            return try await jetStream.createStream(wanted)
        } catch let error where error.code == .nameTaken {
            return try await jetStream.streamInfo(wanted.name)
        }
    }

    private init(name: String, jetStream: JetStream) {
        self.name = name
        self.jetStream = jetStream
    }

    /// The same bucket over another view of the broker, with other timeouts.
    package func over(_ jetStream: JetStream) -> KeyValueBucket { KeyValueBucket(name: name, jetStream: jetStream) }

    /// - Parameter fromLeader: whether only the leader may answer. Otherwise any replica does, which may lag.
    package func get(_ key: String, fromLeader: Bool = false) async throws(NATSError) -> Entry? {
        guard let message = try await last(key, fromLeader: fromLeader), message.headers["KV-Operation"] == nil else {
            return nil
        }
        return Entry(key: key, value: message.payload, revision: message.expectedSequence, created: message.time)
    }

    private func last(_ key: String, fromLeader: Bool = true) async throws(NATSError) -> StoredMessage? {
        let subject = subject(key)
        if let message = try await jetStream.lastMessage(stream: stream, subject: subject, fromLeader: fromLeader) {
            return message
        }
        do throws(NATSError) {
            return try await jetStream.forgottenMessage(stream: stream, subject: subject)
        } catch let error where error.code == .unavailable {
            // Any write makes the server look at what it has; this one leaves a key that is absent.
            try await delete("found")
            return try await jetStream.forgottenMessage(stream: stream, subject: subject)
        }
    }

    /// Whether somebody has deleted a key that is absent: that leaves a marker. Of a key that never was, or of a bucket that was lost and
    /// created again, there is nothing.
    package func wasDeleted(_ key: String) async throws(NATSError) -> Bool {
        try await last(key) != nil
    }

    /// Sets a key whatever it holds. Returns the revision.
    @discardableResult
    package func put(_ key: String, _ value: [UInt8]) async throws(NATSError) -> UInt64 {
        try await write(key, value, [:])
    }

    /// Sets a key that is absent. Returns the revision.
    ///
    /// - Throws: `.wrongLastRevision` if it has a value.
    @discardableResult
    package func create(_ key: String, _ value: [UInt8]) async throws(NATSError) -> UInt64 {
        // The server would take a value that it has forgotten for none.
        let last = try await last(key)
        // Behind a delete marker the key is absent, but its last revision is the marker's.
        if let last, last.headers["KV-Operation"] == nil {
            throw NATSError(.wrongLastRevision, "The key \(key) of the bucket \(name) has a value.")
        }
        return try await update(key, value, revision: last?.expectedSequence ?? 0)
    }

    /// Sets a key if its revision is still the given one. Returns the new revision.
    ///
    /// - Throws: `.wrongLastRevision` otherwise.
    @discardableResult
    package func update(_ key: String, _ value: [UInt8], revision: UInt64) async throws(NATSError) -> UInt64 {
        try await write(key, value, KeyValueBucket.expecting(revision))
    }

    /// The same without waiting.
    ///
    /// - Parameter completion: called exactly once, on any thread, perhaps before this returns; it must not block. It is not called when
    ///   this throws.
    /// - Throws: `.configuration`, `.payloadTooLarge`.
    package func update(
        _ key: String, _ value: [UInt8], revision: UInt64,
        completion: @escaping @Sendable (Result<UInt64, NATSError>) -> Void
    ) throws(NATSError) {
        try jetStream.publish(subject: subject(key), headers: KeyValueBucket.expecting(revision), payload: value) {
            ack in
            completion(ack.map(\.sequence).mapError { self.changed(key, $0) })
        }
    }

    private static func expecting(_ revision: UInt64) -> NATSHeaders {
        ["Nats-Expected-Last-Subject-Sequence": "\(revision)"]
    }

    /// Makes a key absent, if `revision` is given only if it is still that.
    package func delete(_ key: String, revision: UInt64? = nil) async throws(NATSError) {
        var headers: NATSHeaders = ["KV-Operation": "DEL"]
        if let revision { headers["Nats-Expected-Last-Subject-Sequence"] = "\(revision)" }
        _ = try await write(key, [], headers)
    }

    /// Makes a key absent and removes what came before the marker.
    package func purge(_ key: String) async throws(NATSError) {
        _ = try await write(key, [], ["KV-Operation": "PURGE", "Nats-Rollup": "sub"])
    }

    /// All entries whose keys begin with the tokens of `prefix`; all of the bucket if it is empty. Takes a request for
    /// each.
    package func entries(prefix: String = "", fromLeader: Bool = false) async throws(NATSError) -> [Entry] {
        let base = "$KV.\(name)."
        let filter = prefix.isEmpty ? base + ">" : base + prefix + ".>"
        var entries: [Entry] = []
        for subject in try await jetStream.subjects(of: stream, matching: filter).keys.sorted() {
            if let entry = try await get(String(subject.dropFirst(base.count)), fromLeader: fromLeader) {
                entries.append(entry)
            }
        }
        return entries
    }

    private func subject(_ key: String) -> String { "$KV.\(name).\(key)" }

    private func write(_ key: String, _ value: [UInt8], _ headers: NATSHeaders) async throws(NATSError) -> UInt64 {
        do throws(NATSError) {
            return try await jetStream.publish(subject: subject(key), headers: headers, payload: value).sequence
        } catch {
            throw changed(key, error)
        }
    }

    private func changed(_ key: String, _ error: NATSError) -> NATSError {
        guard error.code == .wrongLastSequence else { return error }
        return NATSError(
            .wrongLastRevision, "The key \(key) of bucket \(name) has changed since it was read; read it again.")
    }
}
