internal import ATOF
internal import AgentEvents
internal import NATSTransport

extension SkeinPublisher {
    /// The guardrails of the collectors, asked for the publisher's tenant and over its connection:
    /// `AgentSettings(remoteGuards: publisher.guards())`.
    ///
    /// - Parameters:
    ///   - timeout: of one question; one that gets no answer is asked a second time, and counts once.
    ///   - failsOpen: whether calls go on when nobody decides, for instance while there is no connection.
    public func guards(timeout: Duration = .seconds(1), failsOpen: Bool = false) -> RemoteGuards {
        RemoteGuards(asker: PublisherGuardAsker(publisher: self, timeout: timeout), failsOpen: failsOpen)
    }
}

private struct PublisherGuardAsker: GuardAsker {
    let publisher: SkeinPublisher
    let timeout: Duration

    func ask(_ question: GuardQuestion) async throws -> GuardReply {
        guard let connection = await publisher.connection(within: timeout) else {
            try Task.checkCancellation()
            throw AgentKitError(
                .connectionError, "the guard service was not asked: there is no connection to the broker")
        }
        return try await NATSGuardAsker(connection: connection, tenant: publisher.tenant, timeout: timeout).ask(
            question)
    }
}
