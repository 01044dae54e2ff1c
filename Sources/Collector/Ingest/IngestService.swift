internal import ATOF
internal import Foundation
internal import HTTPProtocol
internal import HTTPServer
internal import Ingest
internal import Logging
internal import NATSTransport
internal import Synchronization

/// Takes events in over HTTP and WebSockets, for applications that know nothing of NATS: NeMo Relay's stream sinks, and what speaks to
/// NVIDIA's Fabric collector. A request is answered with 2xx only when the broker has stored all of it.
final class IngestService: Sendable {
    private struct State {
        var sockets: [ObjectIdentifier: WebSocketConnection] = [:]
        var isStopping = false
    }

    private let settings: CollectorConfiguration.Ingest
    let memory: IngestMemory
    let publisher: IngestPublisher
    let limits: IngestLimits
    let streams: FabricStreams
    let metrics: Metrics
    private let logger: Logger
    private let state = Mutex(State())
    /// Bytes of a line: an event is hardly longer as JSON than packed.
    let maximumLineBytes: Int

    /// - Parameter instance: no other collector's, and no earlier one's.
    init(
        _ settings: CollectorConfiguration.Ingest, maximumEventBytes: Int, _ jetStream: JetStream, instance: String,
        metrics: Metrics, logger: Logger
    ) {
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        maximumLineBytes = maximumEventBytes
        memory = IngestMemory(maximumBytes: settings.maximumHeldBytes)
        publisher = IngestPublisher(jetStream, instance: instance, memory: memory, metrics: metrics)
        limits = IngestLimits(settings)
        streams = FabricStreams(metrics: metrics)
    }

    /// Serves until the task is cancelled; what has been received until then is stored if the broker takes it.
    ///
    /// - Parameter onListen: the port.
    /// - Throws: `CollectorError` when it cannot listen.
    func run(onListen: @Sendable (UInt16) -> Void = { _ in }) async throws {
        let listener: HTTPListener
        do {
            listener = try listen()
        } catch {
            guard settings.isOptional else { throw error }
            return logger.warning("no ingest", metadata: ["error": "\(error)"])
        }
        logger.info(
            "ingest listens",
            metadata: [
                "address": "\(settings.host):\(listener.port)", "tls": "\(settings.certificateFile != nil)",
            ])
        onListen(listener.port)
        let waiting = AsyncStream.makeStream(of: Void.self)
        for await _ in waiting.stream {}
        withExtendedLifetime(waiting.continuation) {}
        await stop(listener)
    }

    private func listen() throws -> HTTPListener {
        var options = HTTPServerOptions(host: settings.host, port: settings.port)
        options.threads = 2
        options.maximumConnections = settings.maximumConnections
        options.maximumConnectionsPerAddress = settings.maximumConnectionsPerAddress
        if let certificate = settings.certificateFile, let key = settings.keyFile {
            do {
                options.tls = .init(
                    certificate: try String(contentsOfFile: certificate, encoding: .utf8),
                    key: try String(contentsOfFile: key, encoding: .utf8))
            } catch {
                throw CollectorError(
                    "ingest.tls: \(certificate) and \(key) cannot be read as PEM; are they there, and for this user?")
            }
        }
        do throws(HTTPServerError) {
            return try HTTPListener(options, self)
        } catch {
            let key = error.code == .tls ? "ingest.tls" : "ingest.listen"
            throw CollectorError("\(key): \(error)")
        }
    }

    private func stop(_ listener: HTTPListener) async {
        let sockets = state.withLock { state in
            state.isStopping = true
            return Array(state.sockets.values)
        }
        for socket in sockets { socket.close(.goingAway, "the collector is stopping") }
        streams.closeAll()
        // A task of its own: this one is cancelled already, and what was received shall be stored.
        await Task { await publisher.drain(within: .seconds(5)) }.value
        await listener.stop()
    }

    // MARK: Counting

    func count(events: Int, probes: Int, invalid: Int, tooLong: Int, flooded: Int, restored: Int) {
        metrics.add("skein_ingest_events_total", events)
        metrics.add("skein_ingest_probes_total", probes)
        metrics.add("skein_ingest_restored_keys_total", restored)
        metrics.add("skein_ingest_rejected_lines_total", invalid, ["reason": "invalid_line"])
        metrics.add("skein_ingest_rejected_lines_total", tooLong, ["reason": "too_large"])
        metrics.add("skein_ingest_rejected_lines_total", flooded, ["reason": "invalid_flood"])
    }

    /// Events that were read and are not stored.
    func lost(
        _ count: Int, _ source: IngestIntake.Source, _ sender: IngestAccess.Sender, _ failure: String, isFirst: Bool
    ) {
        metrics.add("skein_ingest_unstored_events_total", count, ["source": source.rawValue])
        // Who posts is told so, and sends again.
        guard isFirst, source != .post else { return }
        logger.warning(
            "events are not stored",
            metadata: [
                "source": "\(source.rawValue)", "tenant": "\(sender.tenant)", "key": "\(sender.key)",
                "error": "\(failure)",
            ])
    }

    func rejected(_ reason: IngestRefusal.Reason) {
        metrics.add("skein_ingest_rejected_total", 1, ["reason": reason.rawValue])
    }

    func socketOpened(_ receiver: IngestSocket, _ socket: WebSocketConnection) {
        let (count, isStopping) = state.withLock { state in
            state.sockets[ObjectIdentifier(receiver)] = socket
            return (state.sockets.count, state.isStopping)
        }
        metrics.set("skein_ingest_websockets", Double(count))
        if isStopping { socket.close(.goingAway, "the collector is stopping") }
    }

    func socketClosed(_ receiver: IngestSocket) {
        let count = state.withLock { state in
            state.sockets[ObjectIdentifier(receiver)] = nil
            return state.sockets.count
        }
        metrics.set("skein_ingest_websockets", Double(count))
    }

    func uploadClosed(isStream: Bool, truncatedBytes: Int, wasAnswered: Bool) {
        if !wasAnswered { metrics.add("skein_ingest_aborted_total", 1, ["body": isStream ? "stream" : "post"]) }
        if truncatedBytes > 0 { metrics.add("skein_ingest_truncated_lines_total") }
    }

    // MARK: Answers

    /// Why a POST is not read to its end; nil when it is.
    func refusal(_ intake: IngestIntake) -> IngestRefusal? {
        if let failure = intake.failure {
            return IngestRefusal(.broker, 503, "not stored: \(failure)", retryAfterSeconds: 1)
        }
        if memory.hasRoom(intake.sender.tenant) { return nil }
        return IngestRefusal(.memory, 503, "too much is under way; send it again later", retryAfterSeconds: 1)
    }

    /// - Parameter intake: of which nothing is under way any longer.
    func answer(_ intake: IngestIntake) -> HTTPAnswer {
        if intake.failure != nil, let refusal = refusal(intake) { return answer(refusal) }
        let report = intake.report
        if let refusal = report.refusal { return answer(refusal) }
        metrics.add("skein_ingest_requests_total", 1, ["status": "200"])
        return HTTPAnswer(200, headers: [("Skein-Accepted", String(report.events))])
    }

    func answer(_ refusal: IngestRefusal) -> HTTPAnswer {
        rejected(refusal.reason)
        metrics.add("skein_ingest_requests_total", 1, ["status": String(refusal.status)])
        var headers: [(name: String, value: String)] = [("Content-Type", "application/json")]
        if let seconds = refusal.retryAfterSeconds { headers.append(("Retry-After", String(seconds))) }
        if let allow = refusal.allow { headers.append(("Allow", allow)) }
        if refusal.status == 401 { headers.append(("WWW-Authenticate", "Bearer")) }
        let body: JSONValue = .object(JSONObject([("detail", .string(refusal.detail))]))
        return HTTPAnswer(refusal.status, headers: headers, body: .bytes(Array(body.compactText.utf8)))
    }

    private func answer(_ status: Int, _ body: JSONValue) -> HTTPAnswer {
        metrics.add("skein_ingest_requests_total", 1, ["status": String(status)])
        return HTTPAnswer(
            status, headers: [("Content-Type", "application/json")], body: .bytes(Array(body.compactText.utf8)))
    }
}

// MARK: Requests

extension IngestService: HTTPHandler {
    func reaped(_ reason: HTTPReapReason) {
        metrics.add("skein_ingest_reaped_total", 1, ["reason": reason.rawValue])
    }

    func refused(_ refusal: RequestFraming.Refusal) -> HTTPAnswer {
        answer(IngestRefusal(.framing, refusal.status, refusal.reason))
    }

    func began(_ request: HTTPServerRequest, _ exchange: HTTPExchange) {
        do throws(IngestRefusal) {
            try begin(request, exchange)
        } catch {
            exchange.answer(answer(error))
        }
    }

    private func begin(_ request: HTTPServerRequest, _ exchange: HTTPExchange) throws(IngestRefusal) {
        let isUpgrade = WebSocketHandshake.isAsked(upgrade: request["Upgrade"], connection: request["Connection"])
        let (route, pathTenant) = try IngestRoute.find(
            method: request.method, path: request.path, isUpgrade: isUpgrade)
        if route == .health { return exchange.answer(.text("ok")) }
        if settings.access.tokens.isEmpty {
            try settings.browserGuard.check(
                origin: request["Origin"], host: request["Host"], isLoopback: BrowserGuard.isLoopback(settings.host))
        }
        let sender = try settings.access.sender(
            .init(
                authorization: request["Authorization"], tenantHeader: request["Skein-Tenant"],
                producerHeader: request["Skein-Producer"], peer: request.peer),
            pathTenant: pathTenant)
        if state.withLock({ $0.isStopping }) {
            throw IngestRefusal(.stopping, 503, "the collector is stopping", retryAfterSeconds: 1)
        }
        switch route {
        case .health: break
        case .events: try receive(request, exchange, sender)
        case .webSocket:
            let accept: String
            do throws(WebSocketHandshake.Refusal) {
                accept = try WebSocketHandshake.accept(
                    key: request["Sec-WebSocket-Key"], version: request["Sec-WebSocket-Version"])
            } catch {
                if error == .key { throw IngestRefusal(.webSocket, 400, error.reason) }
                var upgrade = answer(IngestRefusal(.webSocket, 426, error.reason))
                upgrade.headers += WebSocketHandshake.versionHeaders
                return exchange.answer(upgrade)
            }
            metrics.add("skein_ingest_requests_total", 1, ["status": "101"])
            let payer = limits.payer(sender, peer: request.peer)
            let intake = IngestIntake(sender, payer, .webSocket, self, patience: nil)
            exchange.upgrade(to: IngestSocket(intake, self), accept: accept)
        case .register:
            guard let length = request.contentLength, length <= FabricRegistration.maximumBytes else {
                throw IngestRefusal(
                    .tooLarge, 413, "a registration may have \(FabricRegistration.maximumBytes) bytes, in one piece")
            }
            exchange.receive(FabricRegistration(sender.tenant, self))
        case .stream(let id):
            let stream = try streams.attach(id, tenant: sender.tenant)
            metrics.add("skein_ingest_requests_total", 1, ["status": "200"])
            exchange.answer(
                HTTPAnswer(200, headers: [("Content-Type", "application/x-ndjson")], body: .stream(stream)))
        case .deregister(let id):
            let word = request.queryValue("remove_queue")?.lowercased()
            guard let drops = [nil: false, "1": true, "true": true, "0": false, "false": false][word] else {
                throw IngestRefusal(.request, 400, "remove_queue must be a boolean")
            }
            streams.deregister(id, tenant: sender.tenant, drops: drops)
            metrics.add("skein_ingest_requests_total", 1, ["status": "204"])
            exchange.answer(HTTPAnswer(204))
        }
    }

    private func receive(
        _ request: HTTPServerRequest, _ exchange: HTTPExchange, _ sender: IngestAccess.Sender
    ) throws(IngestRefusal) {
        let kind = try IngestRoute.bodyKind(
            contentType: request["Content-Type"], contentEncoding: request["Content-Encoding"])
        if let length = request.contentLength, length > settings.maximumBodyBytes {
            throw IngestRefusal(
                .tooLarge, 413, "the body has \(length) bytes, the most is \(settings.maximumBodyBytes); send several")
        }
        // A stream that is refused is never opened again by its client: it is read more slowly instead.
        let payer = limits.payer(sender, peer: request.peer)
        if !request.isStream, let wait = limits.wait(payer) {
            throw IngestRefusal(
                .rate, 429, "this producer or its address sends more than it may; wait",
                retryAfterSeconds: Int(wait / .seconds(1)) + 1)
        }
        // A stream is never opened again by its client: it waits for the broker as long as it takes.
        let intake =
            request.isStream
            ? IngestIntake(sender, payer, .stream, self, patience: nil)
            : IngestIntake(sender, payer, .post, self, patience: settings.patience)
        if !request.isStream, let refusal = refusal(intake) { throw refusal }
        exchange.receive(IngestUpload(kind, intake, self, isStream: request.isStream))
    }

    /// A request to Fabric's `POST /v1/register`.
    fileprivate func register(_ body: [UInt8], tenant: String) -> HTTPAnswer {
        do throws(IngestRefusal) {
            guard let object = body.withUnsafeBufferPointer({ try? JSONParser.parse($0) })?.objectValue else {
                throw IngestRefusal(.request, 400, "Request body must be a JSON object")
            }
            guard let id = object["request_id"]?.stringValue, !id.isEmpty else {
                throw IngestRefusal(.request, 400, "request_id must be a non-empty string")
            }
            let mode = object["correlation_mode"]?.nonNull
            if let mode, mode != "pi_turn_window" {
                throw IngestRefusal(.request, 400, "correlation_mode is not supported")
            }
            let capture = object["capture_records"] ?? .bool(true)
            guard let captures = capture.boolValue else {
                throw IngestRefusal(.request, 400, "capture_records must be a boolean")
            }
            if !captures, mode == nil {
                throw IngestRefusal(.request, 400, "capture_records=false requires the Pi correlation mode")
            }
            if let token = object["registration_token"]?.nonNull {
                guard let text = token.stringValue, !text.isEmpty, text.utf8.count <= 128, text.allSatisfy(\.isASCII)
                else {
                    throw IngestRefusal(
                        .request, 400,
                        "registration_token must be a non-empty ASCII string up to 128 characters")
                }
                if mode == nil {
                    throw IngestRefusal(
                        .request, 400, "registration_token requires the Pi correlation mode")
                }
            }
            if mode != nil {
                throw IngestRefusal(.conflict, 409, "correlation modes require a standalone collector")
            }
            try streams.register(id, tenant: tenant)
            return answer(201, .object(JSONObject([("request_id", .string(id)), ("status", "ready")])))
        } catch {
            return answer(error)
        }
    }

    /// Collects a registration, which is small.
    private final class FabricRegistration: HTTPBodyReceiver {
        static let maximumBytes = 64 << 10

        private let body = Mutex<[UInt8]>([])
        private let tenant: String
        private let service: IngestService

        init(_ tenant: String, _ service: IngestService) {
            self.tenant = tenant
            self.service = service
        }

        /// No more than its length says comes, and that was looked at.
        func received(_ bytes: UnsafeRawBufferPointer, _ exchange: HTTPExchange) { body.withLock { $0 += bytes } }

        func ended(_ exchange: HTTPExchange) {
            exchange.answer(service.register(body.withLock { $0 }, tenant: tenant))
        }

        func closed(wasAnswered: Bool) {}
    }
}
