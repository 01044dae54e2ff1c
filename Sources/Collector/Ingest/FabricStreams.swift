internal import ATOF
internal import HTTPServer
internal import Ingest
internal import Synchronization

/// Requests whose records somebody wants to see as they come: what NVIDIA's Fabric collector is for. In memory only; what is recorded goes
/// to the broker all the same.
final class FabricStreams: Sendable {
    private struct State {
        var registrations = FabricRegistrations<FabricStream>()
        var nextSweep = Duration.seconds(60)
    }

    private let start = ContinuousClock.now
    private let state = Mutex(State())
    private let room = FabricRoom()
    private let metrics: Metrics

    init(metrics: Metrics) { self.metrics = metrics }

    func register(_ request: String, tenant: String) throws(IngestRefusal) {
        sweep(isDue: true)
        let stream = FabricStream(room)
        let now = ContinuousClock.now - start
        let refusal: IngestRefusal? = state.withLock { state in
            do throws(IngestRefusal) {
                try state.registrations.register(request, tenant, stream, now: now)
                return nil
            } catch {
                return error
            }
        }
        if let refusal { throw refusal }
    }

    func attach(_ request: String, tenant: String) throws(IngestRefusal) -> FabricViewer {
        guard let stream = state.withLock({ $0.registrations.stream(of: request, tenant) }) else {
            throw IngestRefusal(.unknown, 404, "request_id is not registered")
        }
        guard let viewer = stream.attach() else {
            throw IngestRefusal(.conflict, 409, "request_id already has an attached stream")
        }
        return viewer
    }

    /// - Parameter drops: what waits is not sent any more.
    func deregister(_ request: String, tenant: String, drops: Bool) {
        state.withLock { $0.registrations.deregister(request, tenant) }?.close(drops: drops)
    }

    func closeAll() {
        for stream in state.withLock({ $0.registrations.all }) { stream.close(drops: true) }
    }

    /// Shows an event to the request that it belongs to.
    ///
    /// - Parameter line: as it was sent.
    func take(_ line: [UInt8], _ fields: EventFields, tenant: String) {
        guard state.withLock({ $0.registrations.count > 0 }) else { return }
        sweep(isDue: false)
        guard let (stream, isForgotten) = state.withLock({ $0.registrations.owner(of: fields, tenant) }) else { return }
        if isForgotten { metrics.add("skein_ingest_stream_forgotten_scopes_total") }
        if !stream.put(line) { metrics.add("skein_ingest_stream_dropped_total") }
    }

    /// Lets go of requests that nobody looks at.
    private func sweep(isDue: Bool) {
        let now = ContinuousClock.now - start
        let expired = state.withLock { state in
            guard isDue || now >= state.nextSweep else { return [FabricStream]() }
            state.nextSweep = now + .seconds(60)
            return state.registrations.expire(now: now) { $0.isAttached }
        }
        for stream in expired {
            metrics.add("skein_ingest_stream_expired_total")
            stream.close(drops: true)
        }
    }
}

/// What all streams together hold.
final class FabricRoom: Sendable {
    private let held = Mutex(0)
    private static let limit = 64 << 20

    func take(_ bytes: Int) -> Bool {
        held.withLock { held in
            guard held + bytes <= FabricRoom.limit else { return false }
            held += bytes
            return true
        }
    }

    func giveBack(_ bytes: Int) { held.withLock { $0 -= bytes } }
}

/// The records of one request, until somebody takes them.
final class FabricStream: Sendable {
    private struct State {
        var waiting: [UInt8] = []
        /// Bytes at the front of `waiting` that were sent.
        var sent = 0
        var viewer: FabricViewer?
        var isClosed = false
        var exchange: HTTPExchange?
    }

    private let room: FabricRoom
    private let state = Mutex(State())
    private static let limit = 16 << 20

    init(_ room: FabricRoom) { self.room = room }

    deinit { room.giveBack(state.withLock { $0.waiting.count - $0.sent }) }

    var isAttached: Bool { state.withLock { $0.viewer != nil } }

    /// - Returns: nil when there is a viewer already. One that has gone is none.
    func attach() -> FabricViewer? {
        let before = state.withLock { $0.exchange }
        let hasGone = before?.endIfGone() ?? false
        return state.withLock { state in
            guard state.viewer == nil || hasGone && state.exchange === before else { return nil }
            let viewer = FabricViewer(self)
            state.viewer = viewer
            state.exchange = nil
            return viewer
        }
    }

    /// - Returns: false when nobody takes them, and there is no room.
    func put(_ line: [UInt8]) -> Bool {
        let (isTaken, exchange) = state.withLock { state in
            if state.isClosed { return (true, HTTPExchange?.none) }
            let count = line.count + 1
            guard state.waiting.count - state.sent + count <= FabricStream.limit, room.take(count) else {
                return (false, nil)
            }
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
            if drops {
                room.giveBack(state.waiting.count - state.sent)
                (state.waiting, state.sent) = ([], 0)
            }
            return state.exchange
        }
        exchange?.resume()
    }

    fileprivate func next(_ count: Int, _ exchange: HTTPExchange, _ viewer: FabricViewer) -> [UInt8]? {
        state.withLock { state in
            guard state.viewer === viewer else { return nil }
            state.exchange = exchange
            if state.sent == state.waiting.count { return state.isClosed ? nil : [] }
            let piece = Array(state.waiting[state.sent...].prefix(count))
            state.sent += piece.count
            room.giveBack(piece.count)
            // Not each time: what is left would be moved for every piece.
            if state.sent * 2 >= state.waiting.count {
                state.waiting.removeFirst(state.sent)
                state.sent = 0
            }
            return piece
        }
    }

    fileprivate func ended(_ viewer: FabricViewer) {
        state.withLock { state in
            guard state.viewer === viewer else { return }
            (state.viewer, state.exchange) = (nil, nil)
        }
    }
}

/// Who looks at a stream.
final class FabricViewer: HTTPBodySource {
    private let stream: FabricStream

    init(_ stream: FabricStream) { self.stream = stream }

    func next(_ count: Int, _ exchange: HTTPExchange) -> [UInt8]? { stream.next(count, exchange, self) }

    func ended() { stream.ended(self) }
}
