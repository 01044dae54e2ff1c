import CProtobufC
import CSkeinProto
import Dispatch
import HTTPTestServer
import HTTPTransport
import OTLP
import Synchronization
import Testing

@Suite("OTLP exporter", .timeLimit(.minutes(1)))
struct OTLPExporterTests {
    @Test("delivers what it accepts, compressed or not, and confirms it", arguments: [true, false])
    func delivery(isCompressed: Bool) async throws {
        let backend = Backend { _ in .init(200) }
        let exporter = backend.exporter {
            $0.compression = isCompressed ? .gzip : .none
            $0.headers = [("X-Key", "k")]
            $0.delivery.maxBatchItems = 10
        }
        try await backend.running(exporter) {
            for position in 1...25 as ClosedRange<UInt64> {
                try await exporter.accept(spans([position]), through: position)
            }
            exporter.stop()
        }
        let request = try #require(backend.server.requests.first)
        #expect(request.method == "POST")
        #expect(request.path == "/v1/traces")
        #expect(request.headers["content-type"] == "application/x-protobuf")
        #expect(request.headers["content-encoding"] == (isCompressed ? "gzip" : nil))
        #expect(request.headers["user-agent"] == "skein/1.2.3")
        #expect(request.headers["x-key"] == "k")
        #expect(backend.received == (1...25).map(String.init))
        #expect(exporter.confirmedPosition == 25)
        #expect(backend.confirmed.last == 25)
        #expect(backend.confirmed == backend.confirmed.sorted())
        let statistics = exporter.statistics
        #expect(statistics.delivered == 25)
        #expect(statistics.queueItems == 0)
        #expect(statistics.bytesSent == backend.server.requests.reduce(0) { $0 + $1.body.count })
        await #expect(throws: OTLPExporter.Stopped.self) { try await exporter.accept([], through: 26) }
    }

    @Test("repeats after 503, waiting as asked, and loses nothing")
    func serviceUnavailable() async throws {
        let count = Atomic(0)
        let backend = Backend { _ in
            count.add(1, ordering: .relaxed).oldValue < 2 ? .init(503, headers: ["Retry-After": "0"]) : .init(200)
        }
        let exporter = backend.exporter()
        try await backend.running(exporter) {
            try await exporter.accept(spans([1, 2]), through: 2)
            exporter.stop()
        }
        #expect(backend.server.requests.count == 3)
        #expect(backend.server.connectionCount == 1)
        #expect(exporter.confirmedPosition == 2)
        #expect(exporter.statistics.retries == 2)
        #expect(exporter.statistics.lastError == "status 503")
        #expect(backend.diagnostics.count == 3)
        #expect(backend.diagnostics.last == .recovered(failures: 2))
    }

    @Test("delivers once the backend accepts connections")
    func connectionRefused() async throws {
        let backend = Backend(listens: false) { _ in .init(200) }
        let exporter = backend.exporter { $0.delivery.scheduledDelay = .milliseconds(1) }
        try await backend.running(exporter) {
            try await exporter.accept(spans([1]), through: 1)
            for await _ in backend.diagnosed { break }
            #expect(exporter.confirmedPosition == 0)
            backend.server.listen()
            await exporter.flush()
            #expect(exporter.confirmedPosition == 1)
            exporter.stop()
        }
        #expect(backend.received == ["1"])
        guard case .unavailable(let reason, _) = backend.diagnostics.first else {
            Issue.record("no diagnostic")
            return
        }
        #expect(reason.hasPrefix("POST http://127.0.0.1:\(backend.server.port)/v1/traces: "))
    }

    @Test("finds the items that a backend refuses, and confirms them after their dead letters")
    func poison() async throws {
        let backend = Backend { names in
            names.contains("13") || names.contains("37")
                ? .init(400, headers: ["Content-Type": "text/plain"], body: Array("bad span".utf8)) : .init(200)
        }
        let exporter = backend.exporter { $0.delivery.maxBatchItems = 64 }
        try await backend.running(exporter) {
            try await exporter.accept(spans(Array(1...64)), through: 64)
            exporter.stop()
        }
        #expect(backend.letters.map(\.position) == [13, 37])
        #expect(backend.refusals == [ExportRefusal(status: 400, reason: "bad span")])
        #expect(Set(backend.received).count == 62)
        #expect(exporter.confirmedPosition == 64)
        #expect(exporter.statistics.deadLettered == 2)
        // Each letter failed once, and nothing at or above it was confirmed meanwhile.
        #expect(backend.letterFailures.map(\.position) == [13, 37])
        #expect(backend.letterFailures.allSatisfy { $0.confirmed < $0.position })
    }

    @Test("counts a partial success and goes on")
    func partialSuccess() async throws {
        let backend = Backend { _ in .init(200, body: [0x0A, 6, 0x08, 1, 0x12, 2, 0x68, 0x69]) }
        let exporter = backend.exporter()
        try await backend.running(exporter) {
            try await exporter.accept(spans([1, 2, 3]), through: 3)
            exporter.stop()
        }
        #expect(backend.server.requests.count == 1)
        #expect(backend.diagnostics == [.itemsRejected(count: 1, message: "hi")])
        #expect(exporter.statistics.rejected == 1)
        #expect(exporter.confirmedPosition == 3)
    }

    @Test("makes the producer wait while the queue is full")
    func fullQueue() async throws {
        let gate = DispatchSemaphore(value: 0)
        let backend = Backend { _ in
            gate.wait()
            return .init(200)
        }
        let exporter = backend.exporter {
            $0.delivery.maxQueueItems = 4
            $0.delivery.maxBatchItems = 2
        }
        let (positions, accepted) = AsyncStream<UInt64>.makeStream()
        try await backend.running(exporter) {
            async let producer: Void = {
                try await exporter.accept(spans([1, 2, 3]), through: 3)
                accepted.yield(3)
                try await exporter.accept(spans([4, 5, 6, 7, 8, 9]), through: 9)
                accepted.yield(9)
            }()
            for await position in positions where position == 3 { break }
            #expect(exporter.statistics.queueItems <= 4)
            for _ in 0..<9 { gate.signal() }
            try await producer
            exporter.stop()
        }
        #expect(backend.received == (1...9).map(String.init))
        #expect(exporter.confirmedPosition == 9)
    }

    @Test("a cancelled producer stops waiting, and its position is not confirmed")
    func cancelledProducer() async throws {
        let gate = DispatchSemaphore(value: 0)
        let backend = Backend { _ in
            gate.wait()
            return .init(200)
        }
        let exporter = backend.exporter { $0.delivery.maxQueueItems = 2 }
        try await backend.running(exporter) {
            let producer = Task { try await exporter.accept(spans([1, 2, 3]), through: 3) }
            for await _ in backend.arrived { break }
            producer.cancel()
            await #expect(throws: CancellationError.self) { try await producer.value }
            gate.signal()
            exporter.stop()
        }
        #expect(backend.received == ["1", "2"])
        #expect(exporter.confirmedPosition == 0)
    }

    @Test("ends promptly when cancelled, releases who waits, and confirms nothing")
    func cancellation() async throws {
        let gate = DispatchSemaphore(value: 0)
        let backend = Backend { _ in
            gate.wait()
            return .init(200)
        }
        let exporter = backend.exporter { $0.delivery.maxQueueItems = 2 }
        let run = Task { await exporter.run() }
        let producer = Task { try await exporter.accept(spans([1, 2, 3]), through: 3) }
        for await _ in backend.arrived { break }
        let flush = Task { await exporter.flush() }
        run.cancel()
        await run.value
        await flush.value
        await #expect(throws: OTLPExporter.Stopped.self) { try await producer.value }
        #expect(exporter.confirmedPosition == 0)
        #expect(backend.confirmed.isEmpty)
        #expect(exporter.statistics.lastError == nil)
        gate.signal()
        await backend.end()
    }

    @Test("sends by itself when the oldest item is old enough")
    func scheduledDelay() async throws {
        let backend = Backend { _ in .init(200) }
        let exporter = backend.exporter { $0.delivery.scheduledDelay = .milliseconds(20) }
        try await backend.running(exporter) {
            var arrivals = backend.arrived.makeAsyncIterator()
            for position in 1...5 as ClosedRange<UInt64> {
                try await exporter.accept(spans([position]), through: position)
                await arrivals.next()
                await exporter.flush()
                // Most likely the exporter waits without a deadline when the next item comes.
                for _ in 0..<100 { await Task.yield() }
            }
            exporter.stop()
        }
        #expect(backend.received == ["1", "2", "3", "4", "5"])
    }

    @Test("keeps its place while thousands of items meet a backend that fails at random")
    func endurance() async throws {
        let random = Mutex(SplitMix(state: 7))
        let backend = Backend { names in
            if names.contains(where: { $0.hasSuffix("77") }) { return .init(422) }
            let isUp = random.withLock { $0.next() % 3 != 0 }
            return isUp ? .init(200) : .init(503)
        }
        let exporter = backend.exporter {
            $0.delivery.maxBatchItems = 50
            $0.delivery.maxQueueItems = 120
        }
        try await backend.running(exporter) {
            for position in 1...2000 as ClosedRange<UInt64> {
                try await exporter.accept(spans([position, position]), through: position)
            }
            await exporter.flush()
            #expect(exporter.confirmedPosition == 2000)
            exporter.stop()
        }
        let bad = (1...2000).filter { $0 % 100 == 77 }
        #expect(backend.letters.map { Int($0.position) } == bad.flatMap { [$0, $0] })
        #expect(backend.received == (1...2000).filter { $0 % 100 != 77 }.flatMap { ["\($0)", "\($0)"] })
    }
}

/// Packed spans whose names are their positions.
private func spans(_ positions: [UInt64]) -> [ExportItem] {
    positions.map { position in
        let name = Array("\(position)".utf8)
        return ExportItem(bytes: [5 << 3 | 2, UInt8(name.count)] + name, position: position)
    }
}

/// A backend whose answers depend on the names of the spans in a request, and what it and the exporter's owner saw.
private final class Backend: Sendable {
    struct LetterFailure: Error {
        var position: UInt64
        var confirmed: UInt64
    }

    private struct Seen {
        var names: [String] = []
        var confirmed: [UInt64] = []
        var diagnostics: [ExportDiagnostic] = []
        var letters: [ExportItem] = []
        var refusals: [ExportRefusal] = []
        var letterFailures: [LetterFailure] = []
    }

    private final class Log: Sendable {
        let seen = Mutex(Seen())
    }

    let server: HTTPTestServer
    let arrived: AsyncStream<Void>
    let diagnosed: AsyncStream<Void>
    private let diagnose: AsyncStream<Void>.Continuation
    private let client = HTTPClient(maxThreads: 1)
    private let log = Log()

    init(listens: Bool = true, answer: @escaping @Sendable ([String]) -> HTTPTestServer.Reply) {
        let (arrived, arrive) = AsyncStream<Void>.makeStream()
        self.arrived = arrived
        (diagnosed, diagnose) = AsyncStream<Void>.makeStream()
        let log = log
        server = HTTPTestServer(listens: listens) { request in
            arrive.yield()
            let names = spanNames(request.plainBody)
            let reply = answer(names)
            if reply.status == 200 { log.seen.withLock { $0.names += names } }
            return reply
        }
    }

    var received: [String] { log.seen.withLock { $0.names } }
    var confirmed: [UInt64] { log.seen.withLock { $0.confirmed } }
    var diagnostics: [ExportDiagnostic] { log.seen.withLock { $0.diagnostics } }
    var letters: [ExportItem] { log.seen.withLock { $0.letters } }
    var letterFailures: [LetterFailure] { log.seen.withLock { $0.letterFailures } }
    /// The different reasons of the dead letters.
    var refusals: [ExportRefusal] {
        log.seen.withLock { seen in
            seen.refusals.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        }
    }

    /// An exporter to this backend whose dead letters are kept at the second attempt.
    func exporter(_ adjust: (inout OTLPExporter.Configuration) -> Void = { _ in }) -> OTLPExporter {
        var configuration = OTLPExporter.Configuration(
            url: server.url + "/v1/traces", framing: OTLPRequestFraming(resource: [], scope: []), version: "1.2.3")
        configuration.delivery.initialBackoff = .milliseconds(1)
        configuration.delivery.maxBackoff = .milliseconds(20)
        adjust(&configuration)
        let log = log
        let diagnose = diagnose
        return OTLPExporter(
            configuration: configuration, client: client,
            handlers: OTLPExporter.Handlers(
                deadLetter: { item, refusal in
                    try log.seen.withLock { seen in
                        let isFirst = !seen.letterFailures.contains { $0.position == item.position }
                        if isFirst {
                            let failure = LetterFailure(
                                position: item.position, confirmed: seen.confirmed.last ?? 0)
                            seen.letterFailures.append(failure)
                            throw failure
                        }
                        seen.letters.append(item)
                        seen.refusals.append(refusal)
                    }
                },
                confirmed: { position in log.seen.withLock { $0.confirmed.append(position) } },
                diagnosed: { diagnostic in
                    log.seen.withLock { $0.diagnostics.append(diagnostic) }
                    diagnose.yield()
                }))
    }

    /// Runs the exporter around what the test does; returns when both have ended.
    func running(_ exporter: OTLPExporter, _ body: @Sendable () async throws -> Void) async throws {
        async let run: Void = exporter.run()
        try await body()
        await run
        await end()
    }

    func end() async {
        await client.shutdown()
        server.stop()
    }
}

private func spanNames(_ body: [UInt8]) -> [String] {
    guard let request = skein__v1__otlp__export_trace_service_request__unpack(nil, body.count, body) else { return [] }
    defer { skein__v1__otlp__export_trace_service_request__free_unpacked(request, nil) }
    guard let spans = request.pointee.resource_spans?[0]?.pointee.scope_spans?[0]?.pointee else { return [] }
    return (0..<spans.n_spans).compactMap { index in
        spans.spans[index].map { span in
            let name = span.pointee.name
            return String(decoding: UnsafeBufferPointer(start: name.data, count: name.len), as: UTF8.self)
        }
    }
}
