package import ATOF

/// A trajectory whose document is final.
package struct FinishedTrajectory: Sendable {
    /// The UUID of the scope that opened it.
    package let id: EventUUID
    package let tenant: String?
    /// The name of the scope that opened it.
    package let agentName: String
    /// What file names are rendered from.
    package let openerMetadata: JSONValue?
    package let document: JSONValue
    package let eventCount: Int
    package let firstReference: EventReference
    package let lastReference: EventReference
    /// Whether the opener's end arrived; otherwise the document holds what there was.
    package let isComplete: Bool
}
