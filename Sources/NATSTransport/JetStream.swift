internal import Foundation

/// JetStream over a connection, spoken as plain requests: what it can do depends on the server only, not on cnats.
package struct JetStream: Sendable {
    package let connection: NATSConnection
    /// How long an answer of the server may take.
    package let timeout: Duration

    package init(_ connection: NATSConnection, timeout: Duration = .seconds(5)) {
        self.connection = connection
        self.timeout = timeout
    }

    /// Makes a request to `$JS.API.<suffix>`.
    ///
    /// - Throws: what `NATSConnection.request` throws, and the server's own error, mapped to a code.
    package func api(_ suffix: String, _ body: [UInt8] = []) async throws(NATSError) -> [UInt8] {
        try Self.checked(try await rawReply(suffix, body), suffix)
    }

    /// The reply as it comes, which may be an error of the server.
    func rawReply(_ suffix: String, _ body: [UInt8]) async throws(NATSError) -> [UInt8] {
        do throws(NATSError) {
            return try await connection.request(subject: "$JS.API.\(suffix)", payload: body, timeout: timeout).payload
        } catch let error where error.code == .noResponders {
            throw .silent(suffix, connection)
        }
    }

    /// The reply, unless it is an error.
    static func checked(_ reply: [UInt8], _ suffix: String) throws(NATSError) -> [UInt8] {
        struct Failure: Decodable { let error: APIError? }
        if let error = try JSON.decode(Failure.self, from: reply, about: suffix).error {
            throw .api(error, about: suffix)
        }
        return reply
    }

    // MARK: Streams

    /// Creates a stream; creating it again with the same configuration changes nothing.
    ///
    /// Servers ignore what they do not know: compare the echoed configuration with `differences(from:)`.
    package func createStream(_ configuration: StreamConfiguration) async throws(NATSError) -> StreamInfo {
        try await streamRequest("STREAM.CREATE.\(configuration.name)", JSON.encode(configuration))
    }

    /// - Throws: `.notFound` if there is no such stream.
    package func streamInfo(_ name: String) async throws(NATSError) -> StreamInfo {
        try await streamRequest("STREAM.INFO.\(name)", [])
    }

    /// Changes what the configuration names and keeps fields that it does not know.
    package func updateStream(_ configuration: StreamConfiguration) async throws(NATSError) -> StreamInfo {
        let suffix = "STREAM.UPDATE.\(configuration.name)"
        let found = try await api("STREAM.INFO.\(configuration.name)")
        let wanted = try JSON.encode(configuration)
        guard let info = try? JSONSerialization.jsonObject(with: Data(found)) as? [String: Any],
            var merged = info["config"] as? [String: Any],
            let changes = try? JSONSerialization.jsonObject(with: Data(wanted)) as? [String: Any]
        else { throw NATSError(.protocolViolation, "The server's answer about \(suffix) cannot be understood.") }
        if configuration.subjectTransform == nil { merged["subject_transform"] = nil }
        merged.merge(changes) { $1 }
        guard let body = try? JSONSerialization.data(withJSONObject: merged) else {
            throw NATSError(.protocolViolation, "The configuration for \(suffix) cannot be written as JSON.")
        }
        return try await streamRequest(suffix, [UInt8](body))
    }

    package func deleteStream(_ name: String) async throws(NATSError) {
        _ = try await api("STREAM.DELETE.\(name)")
    }

    /// Removes messages: all, those of a subject (wildcards allowed), those below a sequence, or both conditions
    /// together.
    ///
    /// - Returns: how many were removed.
    @discardableResult
    package func purgeStream(
        _ name: String, subject: String? = nil, below sequence: UInt64? = nil
    ) async throws(NATSError) -> UInt64 {
        struct Request: Encodable {
            let filter: String?
            let seq: UInt64?
        }
        struct Reply: Decodable { let purged: UInt64 }
        // Nothing is below 1, but servers before 2.15 take a sequence of 0 or 1 for no condition and remove everything
        // (nats-io/nats-server#4696, #8241).
        if let sequence, sequence <= 1 { return 0 }
        let suffix = "STREAM.PURGE.\(name)"
        let reply = try await api(suffix, JSON.encode(Request(filter: subject, seq: sequence)))
        return try JSON.decode(Reply.self, from: reply, about: suffix).purged
    }

    /// The subjects that match the filter and have messages, with how many each has.
    package func subjects(of stream: String, matching filter: String) async throws(NATSError) -> [String: UInt64] {
        struct Request: Encodable {
            let subjectsFilter: String
            let offset: Int
        }
        var all: [String: UInt64] = [:]
        while true {
            let request = try JSON.encode(Request(subjectsFilter: filter, offset: all.count))
            let page = try await streamRequest("STREAM.INFO.\(stream)", request)
            all.merge(page.subjects) { $1 }
            if page.subjects.isEmpty || all.count >= page.matchingSubjects { return all }
        }
    }

    private func streamRequest(_ suffix: String, _ body: [UInt8]) async throws(NATSError) -> StreamInfo {
        try JSON.decode(StreamInfo.self, from: try await api(suffix, body), about: suffix)
    }
}

extension NATSError {
    static func silent(_ suffix: String, _ connection: NATSConnection) -> NATSError {
        NATSError(
            .noResponders,
            "JetStream at \(connection.redactedURLs) does not answer \(suffix); start nats-server with -js.")
    }
}
