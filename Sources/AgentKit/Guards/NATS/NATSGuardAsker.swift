internal import ATOF
internal import AgentEvents
package import NATSTransport
internal import Stages

/// Asks the collectors by NATS request-reply (`docs/components/guard.md`).
package struct NATSGuardAsker: GuardAsker {
    private let connection: NATSConnection
    private let tenant: String
    private let timeout: Duration

    /// - Parameter timeout: of one question; a question that gets no answer is asked a second time, and counts once.
    package init(connection: NATSConnection, tenant: String, timeout: Duration = .seconds(1)) {
        self.connection = connection
        self.tenant = tenant
        self.timeout = timeout
    }

    /// - Throws: `AgentKitError` that says on which subject nobody answered.
    package func ask(_ question: GuardQuestion) async throws -> GuardReply {
        do {
            return try await attempt(question)
        } catch {
            // A collector that was killed costs one question. Nobody there, and a refusal, are answers.
            guard (error as? AgentKitError)?.code == .timeout else { throw error }
            return try await attempt(question)
        }
    }

    private func attempt(_ question: GuardQuestion) async throws -> GuardReply {
        let subject = SkeinSubjects.guarding(tenant: tenant, question.call.kind)
        var headers = NATSHeaders()
        headers["Content-Type"] = "application/x-protobuf"
        headers["Skein-Timeout-Millis"] = String(Int64(timeout / .milliseconds(1)))
        let reply: NATSMessage
        do throws(NATSError) {
            reply = try await connection.request(
                subject: subject, headers: headers, payload: question.packed, timeout: timeout)
        } catch {
            if error.code == .cancelled { throw CancellationError() }
            let code: AgentKitError.Code = error.code == .timeout ? .timeout : .connectionError
            throw AgentKitError(code, "the guard service did not answer on \(subject): \(error)")
        }
        do throws(GuardMessageError) {
            return try GuardReply(packed: reply.payload)
        } catch {
            throw AgentKitError(.internalError, "the guard service's answer on \(subject) cannot be read: \(error)")
        }
    }
}
