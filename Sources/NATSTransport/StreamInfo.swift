/// What the server says of a stream: its configuration and what it holds.
package struct StreamInfo: Sendable {
    package let configuration: StreamConfiguration
    /// Nanoseconds since 1970 at which it was created: tells a stream from a later one of the same name.
    package let created: Int64
    package let messages: UInt64
    package let bytes: UInt64
    package let firstSequence: UInt64
    package let lastSequence: UInt64
    package let consumerCount: Int
    /// How many different subjects there are messages of.
    package let subjectCount: Int
    /// The server's clock when it answered, nanoseconds since 1970; servers before 2.10 do not tell.
    package let serverTime: Int64?
    /// When the last message was stored, nanoseconds since 1970; nil before the first one.
    package let lastTime: Int64?
    /// Messages for each subject that the request's filter matched; empty without a filter.
    let subjects: [String: UInt64]
    /// How many subjects the filter matches in all: the server returns them in pages.
    let matchingSubjects: Int
}

extension StreamInfo: Decodable {
    private struct State: Decodable {
        let messages: UInt64
        let bytes: UInt64
        let firstSeq: UInt64
        let lastSeq: UInt64
        let consumerCount: Int
        let numSubjects: Int?
        let lastTs: String?
        let subjects: [String: UInt64]?
    }

    private enum CodingKeys: String, CodingKey { case config, created, state, total, ts }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        configuration = try values.decode(StreamConfiguration.self, forKey: .config)
        guard let created = ServerTime.nanoseconds(try values.decode(String.self, forKey: .created)) else {
            throw DecodingError.dataCorruptedError(forKey: .created, in: values, debugDescription: "not a time")
        }
        self.created = created
        let state = try values.decode(State.self, forKey: .state)
        messages = state.messages
        bytes = state.bytes
        firstSequence = state.firstSeq
        lastSequence = state.lastSeq
        consumerCount = state.consumerCount
        subjectCount = state.numSubjects ?? 0
        serverTime = try values.decodeIfPresent(String.self, forKey: .ts).flatMap { ServerTime.nanoseconds($0) }
        lastTime = state.lastSeq == 0 ? nil : state.lastTs.flatMap { ServerTime.nanoseconds($0) }
        subjects = state.subjects ?? [:]
        matchingSubjects = try values.decodeIfPresent(Int.self, forKey: .total) ?? subjects.count
    }
}
