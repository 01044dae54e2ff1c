/// Why a backend will never take an item: what a dead letter says.
package struct ExportRefusal: Sendable, Equatable {
    /// HTTP status of the answer.
    package let status: Int
    /// What the backend said, at most `ExportAnswer.maxReasonCharacters`, empty when it said nothing readable.
    package let reason: String

    package init(status: Int, reason: String) {
        self.status = status
        self.reason = reason
    }
}
