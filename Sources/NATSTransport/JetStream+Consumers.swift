internal import Foundation

extension JetStream {
    /// The names of a stream's consumers that begin with a prefix, sorted. The cluster's leader answers.
    package func consumers(of stream: String, namePrefix: String = "") async throws(NATSError) -> [String] {
        struct Request: Encodable { let offset: Int }
        struct Page: Decodable {
            let total: Int
            let consumers: [String]?
        }
        let suffix = "CONSUMER.NAMES.\(stream)"
        var all: Set<String> = []
        var offset = 0
        while true {
            let page = try JSON.decode(
                Page.self, from: try await api(suffix, JSON.encode(Request(offset: offset))), about: suffix)
            let names = page.consumers ?? []
            offset += names.count
            all.formUnion(names)
            if names.isEmpty || offset >= page.total { return all.filter { $0.hasPrefix(namePrefix) }.sorted() }
        }
    }

    /// - Throws: `.notFound` if there is no such consumer or stream.
    package func consumerInfo(stream: String, consumer: String) async throws(NATSError) -> ConsumerInfo {
        let suffix = "CONSUMER.INFO.\(stream).\(consumer)"
        let reply = try await api(suffix)
        var info = try JSON.decode(ConsumerInfo.self, from: reply, about: suffix)
        info.json = reply
        return info
    }

    /// Removes a consumer. That there is none is no failure.
    package func deleteConsumer(stream: String, consumer: String) async throws(NATSError) {
        do throws(NATSError) {
            _ = try await api("CONSUMER.DELETE.\(stream).\(consumer)")
        } catch let error where error.code == .notFound {
            return
        }
    }

    /// How many messages match the filter from a sequence on, by the server's own count.
    ///
    /// Takes a consumer in memory that lives for this one answer.
    package func pending(
        stream: String, filter: String, from sequence: UInt64
    ) async throws(NATSError) -> UInt64 {
        struct Reply: Decodable { let numPending: UInt64 }
        let name = "skein-count-\(UUID().uuidString)"
        let reply = try await createConsumer(
            ConsumerRequest(
                streamName: stream,
                config: .init(
                    name: name, optStartSeq: max(sequence, 1), inactiveThreshold: Duration.seconds(5).nanoseconds,
                    filterSubject: filter, filterSubjects: nil, headersOnly: nil)))
        // Should this fail, the server removes it after its inactive threshold.
        try? await deleteConsumer(stream: stream, consumer: name)
        return try JSON.decode(Reply.self, from: reply, about: "the consumer \(name) of \(stream)").numPending
    }

    /// Makes a consumer that delivers from a stream sequence on, without acks, held in memory by one server.
    func createOrderedConsumer(
        _ configuration: PullConsumerConfiguration, name: String, startSequence: UInt64
    ) async throws(NATSError) {
        struct Reply: Decodable {
            struct Configuration: Decodable { let filterSubjects: [String]? }
            let config: Configuration
        }
        let filters = configuration.filterSubjects
        let reply = try await createConsumer(
            ConsumerRequest(
                streamName: configuration.stream,
                config: .init(
                    name: name, optStartSeq: startSequence,
                    inactiveThreshold: configuration.inactiveThreshold.nanoseconds,
                    filterSubject: filters.count == 1 ? filters[0] : nil,
                    filterSubjects: filters.count > 1 ? filters : nil,
                    headersOnly: configuration.headersOnly ? true : nil)))
        let echo = try JSON.decode(Reply.self, from: reply, about: "the consumer \(name) of \(configuration.stream)")
        if filters.count > 1, echo.config.filterSubjects?.count != filters.count {
            throw NATSError(
                .configuration,
                "The server ignores the filter subjects of \(configuration.stream); use nats-server 2.10 or newer.")
        }
    }

    private func createConsumer(_ request: ConsumerRequest) async throws(NATSError) -> [UInt8] {
        let base = "CONSUMER.CREATE.\(request.streamName).\(request.config.name)"
        return try await api(request.config.filterSubject.map { "\(base).\($0)" } ?? base, JSON.encode(request))
    }
}

private struct ConsumerRequest: Encodable {
    struct Configuration: Encodable {
        let name: String
        let deliverPolicy = "by_start_sequence"
        let optStartSeq: UInt64
        let ackPolicy = "none"
        let replayPolicy = "instant"
        let memStorage = true
        let numReplicas = 1
        let inactiveThreshold: Int64
        let filterSubject: String?
        let filterSubjects: [String]?
        let headersOnly: Bool?
    }
    let streamName: String
    let config: Configuration
}
