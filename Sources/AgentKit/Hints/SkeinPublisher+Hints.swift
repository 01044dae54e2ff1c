internal import ATOF
internal import NATSTransport
internal import Stages

extension SkeinPublisher {
    /// The hints of the collectors, asked for the publisher's tenant and over its connection: `AgentSettings(hints: publisher.hints())`.
    ///
    /// - Parameters:
    ///   - timeout: what a model call waits for them at the most. While the broker is away nobody is asked, and nothing is waited for.
    ///   - priority: among the request intercepts.
    public func hints(timeout: Duration = .milliseconds(50), priority: Int32 = 100) -> RemoteHints {
        RemoteHints(asker: PublisherHintAsker(publisher: self, timeout: timeout), priority: priority)
    }
}

private struct PublisherHintAsker: HintAsker {
    let publisher: SkeinPublisher
    let timeout: Duration

    func ask(_ question: HintQuestion) async -> AgentHints? {
        let begun = ContinuousClock.now
        guard let connection = await publisher.connection(within: timeout), connection.isConnected else { return nil }
        let rest = timeout - begun.duration(to: .now)
        guard rest > .zero else { return nil }
        return await NATSHintAsker(connection: connection, tenant: publisher.tenant, timeout: rest).ask(question)
    }
}

/// Asks the collectors by NATS request-reply.
package struct NATSHintAsker: HintAsker {
    private let connection: NATSConnection
    private let tenant: String
    private let timeout: Duration

    package init(connection: NATSConnection, tenant: String, timeout: Duration = .milliseconds(50)) {
        self.connection = connection
        self.tenant = tenant
        self.timeout = timeout
    }

    package func ask(_ question: HintQuestion) async -> AgentHints? {
        let headers: NATSHeaders = [
            SkeinHeaders.contentType: SkeinHeaders.json,
            SkeinHeaders.timeout: String(max(1, Int64(timeout / .milliseconds(1)))),
        ]
        // Whatever keeps an answer away, the call goes on without hints.
        let reply = try? await connection.request(
            subject: SkeinSubjects.hints(tenant: tenant), headers: headers, payload: question.json, timeout: timeout)
        guard let reply, let object = try? JSONParser.parse(reply.payload).objectValue, !object.isEmpty else {
            return nil
        }
        return try? AgentHints(object)
    }
}
