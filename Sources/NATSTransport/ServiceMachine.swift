/// What a service knows of itself: which requests are under way, what has become of the others, and what discovery is told.
///
/// Pure: times come in. Requests beyond the limit are turned away, so that whoever asks hears of it at once.
struct ServiceMachine: Sendable {
    private struct Figures: Sendable {
        var requests = 0
        var errors = 0
        var lastError = ""
        /// Nanoseconds.
        var processingTime: Int64 = 0
    }

    private let description: ServiceDescription
    /// RFC 3339.
    private let started: String
    private let limit: Int
    private var figures: [Figures]
    private(set) var inFlight = 0
    /// Endpoints from which requests may still come.
    private var openEndpoints: Int
    private var isClosed = false

    /// - Parameter limit: requests under way at the most, over all endpoints.
    init(_ description: ServiceDescription, started: String, limit: Int) {
        self.description = description
        self.started = started
        self.limit = limit
        figures = description.endpoints.map { _ in Figures() }
        openEndpoints = description.endpoints.count
    }

    /// - Returns: why the request is turned away, which has been counted; nil when it may be worked on.
    mutating func requestArrived(at endpoint: Int) -> ServiceFailure? {
        let failure: ServiceFailure
        if isClosed {
            failure = ServiceFailure(code: 503, description: "the service ends here; ask again")
        } else if inFlight >= limit {
            failure = ServiceFailure(
                code: 429, description: "\(limit) requests are under way here already, the most there may be; ask again"
            )
        } else {
            inFlight += 1
            return nil
        }
        figures[endpoint].requests += 1
        figures[endpoint].errors += 1
        figures[endpoint].lastError = failure.description
        return failure
    }

    /// - Parameter nanoseconds: since the request arrived.
    mutating func requestEnded(at endpoint: Int, nanoseconds: Int64, failure: ServiceFailure?) {
        inFlight -= 1
        figures[endpoint].requests += 1
        figures[endpoint].processingTime += nanoseconds
        guard let failure else { return }
        figures[endpoint].errors += 1
        figures[endpoint].lastError = failure.description
    }

    /// The last request of an endpoint has arrived.
    mutating func endpointEnded() { openEndpoints -= 1 }

    /// Nothing is under way, and nothing can come.
    var isDrained: Bool { openEndpoints <= 0 && inFlight == 0 }

    /// What still comes is turned away.
    mutating func close() { isClosed = true }

    // MARK: Discovery

    private struct Ping: Encodable {
        let type = "io.nats.micro.v1.ping_response"
        let name, id, version: String
        let metadata: [String: String]
    }

    private struct Info: Encodable {
        struct Endpoint: Encodable {
            let name, subject, queueGroup: String
            let metadata: [String: String]
        }
        let type = "io.nats.micro.v1.info_response"
        let name, id, version, description: String
        let metadata: [String: String]
        let endpoints: [Endpoint]
    }

    private struct Stats: Encodable {
        struct Endpoint: Encodable {
            let name, subject, queueGroup: String
            let numRequests, numErrors: Int
            let lastError: String
            let processingTime, averageProcessingTime: Int64
            /// Figures of the service's own; clients expect the member.
            let data: [String: Int]
        }
        let type = "io.nats.micro.v1.stats_response"
        let name, id, version, started: String
        let metadata: [String: String]
        let endpoints: [Endpoint]
    }

    /// The answer to a request on `$SRV.PING|INFO|STATS[.<name>[.<id>]]`; nil when it is for others.
    func answer(to subject: String) throws(NATSError) -> [UInt8]? {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        guard (2...4).contains(tokens.count), tokens[0] == "$SRV",
            tokens.count < 3 || tokens[2] == description.name, tokens.count < 4 || tokens[3] == description.id
        else { return nil }
        switch tokens[1] {
        case "PING":
            return try JSON.encode(
                Ping(
                    name: description.name, id: description.id, version: description.version,
                    metadata: description.metadata))
        case "INFO":
            return try JSON.encode(
                Info(
                    name: description.name, id: description.id, version: description.version,
                    description: description.text, metadata: description.metadata,
                    endpoints: description.endpoints.map {
                        .init(name: $0.name, subject: $0.subject, queueGroup: $0.queue, metadata: [:])
                    }))
        case "STATS": return try JSON.encode(stats)
        default: return nil
        }
    }

    private var stats: Stats {
        Stats(
            name: description.name, id: description.id, version: description.version, started: started,
            metadata: description.metadata,
            endpoints: zip(description.endpoints, figures).map { endpoint, figures in
                .init(
                    name: endpoint.name, subject: endpoint.subject, queueGroup: endpoint.queue,
                    numRequests: figures.requests, numErrors: figures.errors, lastError: figures.lastError,
                    processingTime: figures.processingTime,
                    averageProcessingTime: figures.requests == 0 ? 0 : figures.processingTime / Int64(figures.requests),
                    data: [:])
            })
    }
}
