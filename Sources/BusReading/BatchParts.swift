package import NATSTransport
internal import Stages

/// Puts messages of PROCESSED together that are parts of one event (`docs/contract.md`). A pure state machine.
///
/// Bound: one half event of each subject, which the collectors' `max_event_bytes` limits.
package struct BatchParts<Token: Sendable>: Sendable {
    private struct Half: Sendable {
        let id: String?
        var tokens: [Token]
        var body: [UInt8]
    }

    private var halves: [String: Half] = [:]

    package init() {}

    /// Takes a message.
    ///
    /// - Parameter token: stands for the message.
    /// - Returns: the messages that are done with now, and the body when it is whole.
    package mutating func receive(
        subject: String, headers: NATSHeaders, payload: [UInt8], token: Token
    ) -> (done: [Token], body: [UInt8]?) {
        let place = (headers[SkeinHeaders.chunk] ?? "1/1").split(separator: "/").map { Int($0) }
        // A half that another message follows is over: its writer sends it again.
        let half = halves.removeValue(forKey: subject)
        guard place.count == 2, let number = place[0], let count = place[1], number >= 1, number <= count else {
            return ((half?.tokens ?? []) + [token], nil)
        }
        let id = headers[SkeinHeaders.chunkID]
        if let half, half.tokens.count == number - 1, half.id == id {
            let (tokens, body) = (half.tokens + [token], half.body + payload)
            if number == count { return (tokens, body) }
            halves[subject] = Half(id: id, tokens: tokens, body: body)
            return ([], nil)
        }
        let over = half?.tokens ?? []
        guard number == 1 else { return (over + [token], nil) }
        if count == 1 { return (over + [token], payload) }
        halves[subject] = Half(id: id, tokens: [token], body: payload)
        return (over, nil)
    }
}
