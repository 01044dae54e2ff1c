package import ATOF
package import NATSTransport
internal import Stages

/// Asks the collectors before a call.
///
/// A question that was not answered is asked again with the same call id: budgets count it once.
package struct GuardClient: Sendable {
    private let connection: NATSConnection
    private let encoding: GuardEncoding

    package init(_ connection: NATSConnection, encoding: GuardEncoding = .json) {
        self.connection = connection
        self.encoding = encoding
    }

    /// Asks once.
    ///
    /// - Parameter timeout: seen to within a tenth of a second; it goes along, so that nobody works on what nobody waits for.
    /// - Throws: `NATSError`: `.noResponders` when no collector has guardrails, `.timeout`, `.disconnected`; `GuardMessageError` for an
    ///   answer that cannot be read. None of these is an allow.
    package func ask(_ question: GuardQuestion, tenant: String, timeout: Duration = .seconds(2)) async throws
        -> GuardReply
    {
        var headers = GuardDeadline.headers(timeout: timeout)
        headers[SkeinHeaders.contentType] = encoding.contentType
        let reply = try await connection.request(
            subject: SkeinSubjects.guarding(tenant: tenant, question.call.kind), headers: headers,
            payload: encoding.encode(question), timeout: timeout)
        return try encoding.reply(reply.payload)
    }
}
