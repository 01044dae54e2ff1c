/// What the server says about a delivered message in its reply subject.
///
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with a domain and an
/// account hash before the stream and possibly a random token at the end.
struct AckSubject: Equatable {
    static let prefix = "$JS.ACK."

    /// `<stream>.<consumer>`
    let consumer: String
    let streamSequence: UInt64
    let consumerSequence: UInt64
    /// Nanoseconds since 1970 at which the server stored the message.
    let timestamp: Int64
    /// Messages that match the consumer's filter and come after this one.
    let pending: UInt64

    init?(_ subject: String) {
        guard subject.hasPrefix(Self.prefix) else { return nil }
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count == 9 || tokens.count >= 11 else { return nil }
        let first = tokens.count == 9 ? 2 : 4
        guard let streamSequence = UInt64(tokens[first + 3]), let consumerSequence = UInt64(tokens[first + 4]),
            let timestamp = Int64(tokens[first + 5]), let pending = UInt64(tokens[first + 6])
        else { return nil }
        consumer = String(subject[tokens[first].startIndex..<tokens[first + 1].endIndex])
        self.streamSequence = streamSequence
        self.consumerSequence = consumerSequence
        self.timestamp = timestamp
        self.pending = pending
    }
}
