package import ATOF

/// Asks whether a call may begin.
package protocol GuardAsker: Sendable {
    /// - Throws: whatever kept the answer away: nobody answers, or not in time.
    func ask(_ question: GuardQuestion) async throws -> GuardReply
}
