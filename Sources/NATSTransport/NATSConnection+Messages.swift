extension NATSConnection {
    /// Sends a message that nobody confirms. Waits while too much is queued.
    ///
    /// - Throws: `.disconnected`, `.closed`, `.payloadTooLarge`, `.configuration` for a subject or header that cannot
    ///   be sent.
    package func publish(
        subject: String, headers: NATSHeaders = [:], payload: [UInt8], reply: String? = nil
    ) async throws(NATSError) {
        try check(subject: subject, headers: headers, payload: payload)
        if let refusal = router.refusal(subject: subject) { throw refusal }
        outbox.enqueue(.init(subject: subject, reply: reply, token: nil, headers: headers, payload: payload))
        await outbox.room()
    }

    /// Sends a message and waits for one reply.
    ///
    /// - Parameters:
    ///   - timeout: seen to within a tenth of a second.
    ///   - consumer: `<stream>.<consumer>` whose next message is the reply too.
    /// - Throws: what `publish` throws, `.noResponders`, `.timeout`, `.cancelled`.
    package func request(
        subject: String, headers: NATSHeaders = [:], payload: [UInt8], timeout: Duration,
        messageOf consumer: String? = nil
    ) async throws(NATSError) -> NATSMessage {
        try check(subject: subject, headers: headers, payload: payload)
        await outbox.room()
        let token = TokenBox()
        let result: Result<NATSMessage, NATSError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                send(
                    subject: subject, headers: headers, payload: payload, timeout: timeout, messageOf: consumer,
                    token: token
                ) {
                    continuation.resume(returning: $0)
                }
                // The handler may have run before there was a token to cancel.
                if Task.isCancelled { cancel(token, subject) }
            }
        } onCancel: {
            cancel(token, subject)
        }
        let message = try result.get()
        if message.status == 503 {
            throw NATSError(.noResponders, "Nobody answers requests on \(subject).")
        }
        return message
    }

    private func cancel(_ token: TokenBox, _ subject: String) {
        guard let token = token.value else { return }
        router.fail(token, NATSError(.cancelled, "The request on \(subject) was cancelled; it may have taken effect."))
    }

    private func send(
        subject: String, headers: NATSHeaders, payload: [UInt8], timeout: Duration, messageOf consumer: String?,
        token box: TokenBox, complete: @escaping ReplyRouter.Completion
    ) {
        guard let token = router.expectReply(subject: subject, timeout: timeout, complete: complete) else { return }
        if let consumer { router.awaitMessage(of: consumer, token: token) }
        box.value = token
        enqueue(subject: subject, headers: headers, payload: payload, token: token)
    }

    /// Queues a message whose reply the router awaits under the token.
    func enqueue(subject: String, headers: NATSHeaders, payload: [UInt8], token: UInt64) {
        outbox.enqueue(
            .init(subject: subject, reply: "\(inbox).\(token)", token: token, headers: headers, payload: payload))
    }

    func check(subject: String, headers: NATSHeaders, payload: [UInt8]) throws(NATSError) {
        try Self.requireValid(subject: subject, headers: headers)
        let size = headers.encodedSize + payload.count
        if size > maxPayload {
            throw NATSError(
                .payloadTooLarge,
                "The message on \(subject) has \(size) bytes, the server's max_payload is \(maxPayload); send less."
            )
        }
    }

    /// What would break the protocol's lines must not reach the wire.
    static func requireValid(subject: String, headers: NATSHeaders) throws(NATSError) {
        guard !subject.isEmpty, subject.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw NATSError(.configuration, "The subject \"\(subject)\" is empty or has white space; correct it.")
        }
        guard headers.isValid else {
            throw NATSError(
                .configuration, "A header for \(subject) has an empty or illegal name, or a line break in its value.")
        }
    }

    /// The server's version, such as `2.12.8`; `nil` if the account may not ask.
    package func serverVersion(timeout: Duration = .seconds(2)) async throws(NATSError) -> String? {
        let reply: NATSMessage
        do throws(NATSError) {
            reply = try await request(subject: "$SYS.REQ.USER.INFO", payload: [], timeout: timeout)
        } catch let error where error.code == .noResponders || error.code == .timeout {
            return nil
        }
        return try? JSON.decode(ServerReply.self, from: reply.payload, about: "$SYS.REQ.USER.INFO").server.ver
    }
}

/// The part of a system reply that names the server.
private struct ServerReply: Decodable {
    struct Server: Decodable {
        let ver: String
    }
    let server: Server
}
