extension JetStream {
    /// Publishes a message and waits until the stream has stored it. Repeating it is the caller's decision.
    ///
    /// - Throws: `.wrongLastSequence`, `.streamFull`, `.noResponders` when no stream takes the subject, and what
    ///   requests throw.
    package func publish(
        subject: String, headers: NATSHeaders = [:], payload: [UInt8]
    ) async throws(NATSError) -> PubAck {
        let reply: NATSMessage
        do throws(NATSError) {
            reply = try await connection.request(subject: subject, headers: headers, payload: payload, timeout: timeout)
        } catch let error where error.code == .noResponders {
            throw .noStream(subject)
        }
        return try PubAck.parse(reply.payload, subject: subject)
    }

    /// Hands a message over and returns at once: for callers that bound what is under way themselves.
    ///
    /// - Parameter completion: called exactly once with the ack or the error, on any thread, perhaps before this returns; it must not
    ///   block. It is not called when this throws.
    /// - Throws: `.configuration`, `.payloadTooLarge`.
    package func publish(
        subject: String, headers: NATSHeaders, payload: [UInt8],
        completion: @escaping @Sendable (Result<PubAck, NATSError>) -> Void
    ) throws(NATSError) {
        try connection.check(subject: subject, headers: headers, payload: payload)
        let token = connection.router.expectReply(subject: subject, timeout: timeout) { reply in
            completion(reply.flatMap { PubAck.parse($0, subject: subject) })
        }
        guard let token else { return }
        connection.enqueue(subject: subject, headers: headers, payload: payload, token: token)
    }

    /// The last message of a subject.
    ///
    /// - Parameter fromLeader: whether only the stream's leader may answer. Otherwise any replica does, which may lag.
    package func lastMessage(
        stream: String, subject: String, fromLeader: Bool = false
    ) async throws(NATSError) -> StoredMessage? {
        try await get(stream, GetRequest(lastBySubj: subject), fromLeader: fromLeader)
    }

    /// The last message of a subject of which the server says that it has none.
    ///
    /// After an orderly restart nats-server 2.12.8 does not find messages that it counts, for as long as nothing is stored behind them. Who
    /// takes that for "never was" begins anew. Costs a request where there is none.
    ///
    /// - Throws: `.unavailable` while the server counts a message and does not give it.
    package func forgottenMessage(stream: String, subject: String) async throws(NATSError) -> StoredMessage? {
        if try await subjects(of: stream, matching: subject).isEmpty { return nil }
        guard var found = try await next(stream, subject, from: 1) else {
            throw NATSError(
                .unavailable,
                "nats-server counts a message on \(subject) in \(stream) and does not find it, as 2.12.8 does after a restart; "
                    + "use 2.14 or newer.")
        }
        // Near the end first: a subject may have many.
        let last = try await streamInfo(stream).lastSequence
        var distance: UInt64 = 1
        while last > found.sequence, distance < last - found.sequence {
            if let nearer = try await next(stream, subject, from: last - distance + 1) {
                found = nearer
                break
            }
            distance *= 2
        }
        while let later = try await next(stream, subject, from: found.sequence + 1) { found = later }
        found.isForgotten = true
        return found
    }

    private func next(
        _ stream: String, _ subject: String, from sequence: UInt64
    ) async throws(NATSError) -> StoredMessage? {
        try await get(stream, GetRequest(seq: sequence, nextBySubj: subject), fromLeader: true)
    }

    /// The message with a sequence, or with `matching` the first at or after it of that subject (wildcards allowed).
    package func message(
        stream: String, sequence: UInt64, matching subject: String? = nil
    ) async throws(NATSError) -> StoredMessage? {
        try await get(stream, GetRequest(seq: sequence, nextBySubj: subject), fromLeader: false)
    }

    /// Removes a message; one that is gone already is no error.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    package func deleteMessage(stream: String, sequence: UInt64) async throws(NATSError) -> Bool {
        struct Request: Encodable {
            let seq: UInt64
            let noErase = true
        }
        do throws(NATSError) {
            _ = try await api("STREAM.MSG.DELETE.\(stream)", JSON.encode(Request(seq: sequence)))
            return true
        } catch {
            // The server has the same code for every reason.
            guard case .api(_, 10057) = error.code else {
                if error.code == .noMessage { return false }
                throw error
            }
            if try await message(stream: stream, sequence: sequence) != nil { throw error }
            return false
        }
    }

    /// The messages with these sequences; what the stream does not hold is absent. Many requests are on their way at once.
    ///
    /// All of it is in memory when this returns: ask for parts of what may be large. Any replica answers; what it does
    /// not have is asked of the leader.
    package func messages(
        stream: String, sequences: some Sequence<UInt64> & Sendable
    ) async throws(NATSError) -> [UInt64: StoredMessage] {
        try await BulkRead(self, stream: stream, sequences: sequences).run()
    }

    private struct GetRequest: Encodable {
        var lastBySubj: String?
        var seq: UInt64?
        var nextBySubj: String?
    }

    /// Asks any replica; when it has none, or the stream allows no direct get, the leader.
    private func get(
        _ stream: String, _ request: GetRequest, fromLeader: Bool
    ) async throws(NATSError) -> StoredMessage? {
        let body = try JSON.encode(request)
        if !fromLeader, let message = try await directGet(stream, body) { return message }
        let suffix = "STREAM.MSG.GET.\(stream)"
        return try StoredMessage.leaderAnswer(try await rawReply(suffix, body), about: suffix)
    }

    private func directGet(_ stream: String, _ body: [UInt8]) async throws(NATSError) -> StoredMessage? {
        do throws(NATSError) {
            let reply = try await connection.request(
                subject: "$JS.API.DIRECT.GET.\(stream)", payload: body, timeout: timeout)
            return reply.status == nil ? StoredMessage(direct: reply) : nil
        } catch let error where error.code == .noResponders {
            return nil
        }
    }
}

extension NATSError {
    static func noStream(_ subject: String) -> NATSError {
        NATSError(
            .noResponders,
            "No stream takes messages on \(subject) now: it has no leader, does not exist, or nats-server runs without -js."
        )
    }
}
