internal import NATSTransport

/// The stream is not the one that a task was reading, or has lost messages that the task had read: going on would skip or repeat events
/// unseen. An operator decides.
enum StreamLoss {
    /// - Parameters:
    ///   - position: the highest sequence of the stream that the task has seen.
    ///   - time: when the server stored the message there; nil when that is not known.
    ///   - created: when the stream was created that the task was reading.
    /// - Returns: what is wrong: the stream, both positions, and what to do.
    static func found(
        _ key: TaskKey, position: UInt64, time: Int64?, created: Int64, _ stream: StreamInfo, _ jetStream: JetStream
    ) async throws -> CollectorError? {
        let name = stream.configuration.name
        let remedy = "run skein tasks reset --stage \(key.stage) to read what is there from its beginning"
        if created != stream.created {
            return CollectorError(
                "\(key) was at sequence \(position) of an earlier \(name), which was deleted and made anew; \(remedy)")
        }
        if position > stream.lastSequence {
            return CollectorError(
                "\(key) is at sequence \(position), but \(name) ends at \(stream.lastSequence): the broker has lost messages; \(remedy)"
            )
        }
        guard let time, position >= stream.firstSequence,
            let message = try await jetStream.message(stream: name, sequence: position), message.time != time
        else { return nil }
        return CollectorError(
            "\(key) is at sequence \(position), where \(name) has another message now: the broker has lost messages and stored others; "
                + remedy)
    }
}
