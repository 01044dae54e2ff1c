internal import ATOF
internal import HTTPServer
internal import Ingest
internal import Synchronization

/// Requests whose records somebody wants to see as they come: what NVIDIA's Fabric collector is for. In memory only; what is recorded goes
/// to the broker all the same.
///
/// A record belongs to a request if it begins a scope whose metadata names it (`nemo_fabric_request_id`), or if its scope or its parent does.
final class FabricStreams: Sendable {
    private struct Key: Hashable {
        let tenant: String
        let request: String
    }

    private struct State {
        var streams: [Key: FabricStream] = [:]
        var scopes: [String: [EventUUID: String]] = [:]
    }

    private let state = Mutex(State())
    private let metrics: Metrics

    static let maximumRegistrations = 256
    /// Of a request.
    private static let maximumScopes = 10_000

    init(metrics: Metrics) { self.metrics = metrics }

    func register(_ request: String, tenant: String) throws(IngestRefusal) {
        let problem: String? = state.withLock { state in
            if state.streams[Key(tenant: tenant, request: request)] != nil {
                return "request_id '\(request)' is already registered"
            }
            if state.streams.count >= FabricStreams.maximumRegistrations { return "too many requests are registered" }
            state.streams[Key(tenant: tenant, request: request)] = FabricStream()
            return nil
        }
        if let problem { throw IngestRefusal(.conflict, 409, problem) }
    }

    func attach(_ request: String, tenant: String) throws(IngestRefusal) -> FabricStream {
        guard let stream = state.withLock({ $0.streams[Key(tenant: tenant, request: request)] }) else {
            throw IngestRefusal(.unknown, 404, "request_id is not registered")
        }
        guard stream.attach() else {
            throw IngestRefusal(.conflict, 409, "request_id already has an attached stream")
        }
        return stream
    }

    /// - Parameter drops: what waits is not sent any more.
    func deregister(_ request: String, tenant: String, drops: Bool) {
        let stream = state.withLock { state in
            state.scopes[tenant] = state.scopes[tenant]?.filter { $0.value != request }
            return state.streams.removeValue(forKey: Key(tenant: tenant, request: request))
        }
        stream?.close(drops: drops)
    }

    func closeAll() {
        for stream in state.withLock({ Array($0.streams.values) }) { stream.close(drops: true) }
    }

    /// Shows an event to the request that it belongs to.
    func take(_ line: [UInt8], _ sender: IngestAccess.Sender) {
        guard state.withLock({ !$0.streams.isEmpty }) else { return }
        guard let fields = FabricStreams.fields(line) else { return }
        var named: String?
        if fields.kind == .scopeStart, !fields.metadata.isEmpty {
            named =
                fields.metadata.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }["nemo_fabric_request_id"]?
                .stringValue
        }
        let stream: FabricStream? = state.withLock { state in
            let known = state.scopes[sender.tenant] ?? [:]
            var request = named.flatMap { name in
                state.streams[Key(tenant: sender.tenant, request: name)] == nil ? nil : name
            }
            request = request ?? known[fields.uuid] ?? fields.parentUUID.flatMap { known[$0] }
            guard let request, let stream = state.streams[Key(tenant: sender.tenant, request: request)] else {
                return nil
            }
            if fields.kind == .scopeStart, known.count < FabricStreams.maximumScopes {
                state.scopes[sender.tenant, default: [:]][fields.uuid] = request
            }
            return stream
        }
        if let stream, !stream.put(line) { metrics.add("skein_ingest_stream_dropped_total") }
    }

    private static func fields(_ line: [UInt8]) -> EventFields? {
        do throws(EventError) { return try EventJSONDecoder.decode(line) } catch { return nil }
    }
}

/// The records of one request, until somebody takes them.
final class FabricStream: HTTPBodySource {
    private struct State {
        var waiting: [UInt8] = []
        var isAttached = false
        var isClosed = false
        var exchange: HTTPExchange?
    }

    private let state = Mutex(State())
    private static let limit = 16 << 20

    func attach() -> Bool {
        state.withLock { state in
            defer { state.isAttached = true }
            return !state.isAttached
        }
    }

    /// - Returns: false when nobody takes them, and there is no room.
    func put(_ line: [UInt8]) -> Bool {
        let (isTaken, exchange) = state.withLock { state in
            if state.isClosed { return (true, HTTPExchange?.none) }
            guard state.waiting.count + line.count < FabricStream.limit else { return (false, nil) }
            state.waiting += line
            state.waiting.append(UInt8(ascii: "\n"))
            return (true, state.exchange)
        }
        exchange?.resume()
        return isTaken
    }

    func close(drops: Bool) {
        let exchange = state.withLock { state in
            state.isClosed = true
            if drops { state.waiting = [] }
            return state.exchange
        }
        exchange?.resume()
    }

    func next(_ count: Int, _ exchange: HTTPExchange) -> [UInt8]? {
        state.withLock { state in
            state.exchange = exchange
            if state.waiting.isEmpty { return state.isClosed ? nil : [] }
            let piece = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(piece.count)
            return piece
        }
    }

    func ended() {
        state.withLock { state in
            state.isAttached = false
            state.exchange = nil
        }
    }
}
