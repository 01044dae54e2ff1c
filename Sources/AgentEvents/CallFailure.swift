/// How a managed call failed, as its end event tells it.
package enum CallFailure: Sendable, Hashable {
    /// - Parameters:
    ///   - text: `otel.status_description`.
    ///   - type: `error.type`.
    ///   - exception: `exception.type`; nil when no class of error was thrown.
    case failed(text: String, type: String, exception: String?)
    /// The call was dropped while it ran.
    case cancelled
    /// The consumer of a stream went away before its end.
    case streamDropped

    /// What an error says that a callback or an intercept threw.
    ///
    /// - Parameter isCancelled: whether the task was cancelled: then whatever it throws is told as that, because clients throw errors of
    ///   their own kinds, and the reference drops a call at that moment and sees no error at all.
    package init(_ error: any Error, isCancelled: Bool) {
        if isCancelled || error is CancellationError {
            self = .cancelled
        } else if let error = error as? AgentKitError {
            self = .failed(text: error.description, type: error.code.rawValue, exception: nil)
        } else {
            let type = String(describing: Swift.type(of: error))
            let wrapped = AgentKitError(.internalError, "\(type): \(error)")
            self = .failed(text: wrapped.description, type: wrapped.code.rawValue, exception: type)
        }
    }
}
