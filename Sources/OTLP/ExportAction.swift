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
}
