/// What the server says of a consumer.
package struct ConsumerInfo: Sendable {
    package let name: String
    /// Nanoseconds since 1970 at which it was created.
    package let created: Int64
    package let replicas: Int
    package let isInMemory: Bool
    package let filterSubjects: [String]
    /// Messages that match its filter and were not delivered yet.
    package let pending: UInt64
    /// The stream sequence of the last message that it delivered; before the first one, one less than where it starts.
    package let deliveredSequence: UInt64
    /// Everything up to this stream sequence is acknowledged. Consumers without acks follow their deliveries.
    package let ackFloorSequence: UInt64
    /// The server's clock when it answered, nanoseconds since 1970; servers before 2.10 do not tell.
    package let serverTime: Int64?
    /// The answer as the server wrote it.
    package internal(set) var json: [UInt8] = []
}

extension ConsumerInfo: Decodable {
    private struct Configuration: Decodable {
        let numReplicas: Int?
        let memStorage: Bool?
        let filterSubject: String?
        let filterSubjects: [String]?
    }

    private struct Place: Decodable { let streamSeq: UInt64 }

    private enum CodingKeys: String, CodingKey { case name, created, config, numPending, delivered, ackFloor, ts }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(String.self, forKey: .name)
        guard let created = ServerTime.nanoseconds(try values.decode(String.self, forKey: .created)) else {
            throw DecodingError.dataCorruptedError(forKey: .created, in: values, debugDescription: "not a time")
        }
        self.created = created
        let configuration = try values.decode(Configuration.self, forKey: .config)
        replicas = configuration.numReplicas ?? 0
        isInMemory = configuration.memStorage ?? false
        filterSubjects = configuration.filterSubjects ?? configuration.filterSubject.map { [$0] } ?? []
        pending = try values.decode(UInt64.self, forKey: .numPending)
        deliveredSequence = try values.decode(Place.self, forKey: .delivered).streamSeq
        ackFloorSequence = try values.decode(Place.self, forKey: .ackFloor).streamSeq
        serverTime = try values.decodeIfPresent(String.self, forKey: .ts).flatMap { ServerTime.nanoseconds($0) }
    }
}
