/// What the shell has to do after an input to the export machine, in the order given.
package enum ExportAction: Sendable, Equatable {
    /// Send the items as one request, then say `answered`.
    case send([ExportItem])
    /// Keep the item with the dead letters, then say `deadLettered` or `deadLetterFailed`.
    case deadLetter(ExportItem, ExportRefusal)
    /// Everything at or below this position is delivered or with the dead letters. Only ever grows.
    case confirmed(UInt64)
    /// Tell the operator.
    case report(ExportDiagnostic)
    /// All that was queued before `stopRequested` has left; nothing happens any more.
    case finished
}

/// What an operator wants to know about an endpoint.
package enum ExportDiagnostic: Sendable, Equatable {
    /// A request failed and is repeated after the time given.
    case unavailable(reason: String, retryIn: Duration)
    /// The endpoint refuses its credentials, route or encoding; nothing is delivered until that is repaired.
    /// The request is repeated after the time given. Worth an alert.
    case endpointRefused(ExportRefusal, retryIn: Duration)
    /// The backend took a request but for some items, or had a warning (`count` is 0 then).
    case itemsRejected(count: Int, message: String)
    /// A success whose body is not an OTLP answer: perhaps the URL is not that of an OTLP backend.
    case answerUnreadable
    /// A dead letter could not be kept; the attempt is repeated after the time given.
    case deadLetterFailed(reason: String, retryIn: Duration)
    /// What had failed so many times in a row has succeeded.
    case recovered(failures: Int)
}

extension ExportDiagnostic: CustomStringConvertible {
    /// One sentence for the log.
    package var description: String {
        switch self {
        case .unavailable(let reason, let wait):
            "the endpoint is not available (\(reason)); the request is repeated in \(ExportDiagnostic.text(wait))"
        case .endpointRefused(let refusal, let wait):
            """
            the endpoint refuses everything with status \(refusal.status)\(ExportDiagnostic.detail(refusal.reason)); check \
            its address, headers and credentials; the request is repeated in \(ExportDiagnostic.text(wait))
            """
        case .itemsRejected(0, let message):
            "the backend warns\(ExportDiagnostic.detail(message))"
        case .itemsRejected(let count, let message):
            "the backend rejected \(count) items of a request\(ExportDiagnostic.detail(message))"
        case .answerUnreadable:
            "the answer is a success but not an OTLP one; check that the address is that of an OTLP/HTTP backend"
        case .deadLetterFailed(let reason, let wait):
            "a dead letter could not be stored (\(reason)); it is tried again in \(ExportDiagnostic.text(wait))"
        case .recovered(let failures):
            "delivery goes on after \(failures) failures"
        }
    }

    private static func detail(_ text: String) -> String { text.isEmpty ? "" : ": \(text)" }

    private static func text(_ wait: Duration) -> String {
        let tenths = (wait.components.seconds * 10) + wait.components.attoseconds / 100_000_000_000_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }
}
