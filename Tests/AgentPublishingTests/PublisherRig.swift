import ATOF
import AgentKit
import Foundation
import Logging
import NATSTestCluster
import NATSTransport
import Stages
import Testing

struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A nats-server of a test's own with the stream of events, and a folder for the test's files.
struct PublisherRig {
    let server: NATSServerProcess
    let directory: String

    /// Runs the body against a server, and ends the server after it.
    static func with(
        server text: String = "", maxPayload: Int? = nil, streamBytes: Int? = nil,
        _ body: (PublisherRig) async throws -> Void
    ) async throws {
        try await NATSTestServer.with(configuration: text, maxPayload: maxPayload) { server in
            let rig = PublisherRig(server: server.process, directory: server.directory)
            try await rig.connected { jetStream in
                var stream = StreamConfiguration(name: SkeinSubjects.eventsStream, subjects: ["skein.v1.events.>"])
                stream.discard = .new
                if let streamBytes { stream.maxBytes = Int64(streamBytes) }
                _ = try await jetStream.createStream(stream)
            }
            try await body(rig)
        }
    }

    func connected<Result>(_ body: (JetStream) async throws -> Result) async throws -> Result {
        try await NATSTestServer(process: server, directory: directory).connection { try await body(JetStream($0)) }
    }

    // MARK: Publishing

    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    var spool: String { directory + "/spool" }

    func configuration(_ change: (inout PublisherConfiguration) -> Void = { _ in }) -> PublisherConfiguration {
        var configuration = PublisherConfiguration(urls: [server.url])
        configuration.tenant = "acme"
        configuration.reconnectWait = .milliseconds(50)
        configuration.delay = .milliseconds(2)
        change(&configuration)
        return configuration
    }

    /// Runs the body with a publisher that runs, and ends that gracefully.
    func publishing(
        _ configuration: PublisherConfiguration, _ body: (SkeinPublisher) async throws -> Void
    ) async throws -> PublisherStatistics {
        let publisher = try SkeinPublisher(
            configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await publisher.run() }
        do {
            try await body(publisher)
        } catch {
            running.cancel()
            _ = try? await running.value
            throw error
        }
        publisher.shutdown()
        try await running.value
        return publisher.statistics
    }

    static func key(_ run: Int) -> EventUUID { EventUUID(high: 5, low: UInt64(run) << 32) }

    static func event(_ run: Int, _ number: Int, bytes: Int = 100) -> [UInt8] {
        let key = key(run)
        var fields = EventFields(
            kind: .mark, uuid: EventUUID(high: key.high, low: key.low | UInt64(number)),
            timestamp: EventTime(seconds: 1_700_000_000, nanoseconds: 0)!, name: "event")
        fields.data = Array("\"\(String(repeating: "x", count: bytes))\"".utf8)
        return fields.packed()
    }

    /// - Parameter numbers: of each run.
    static func append(_ numbers: ClosedRange<Int>, runs: Int, bytes: Int = 100, to publisher: SkeinPublisher) {
        for number in numbers {
            for run in 1...runs { publisher.append(event(run, number, bytes: bytes), key: key(run)) }
        }
    }

    // MARK: What arrived

    struct Arrived {
        /// Of each run, in the order of the stream.
        var numbers: [UInt64: [Int]] = [:]
        var messages = 0
        var ids: [String] = []
    }

    func arrived() async throws -> Arrived {
        try await connected { jetStream in
            var arrived = Arrived()
            var chunks = ChunkAssembler(stage: "process", stream: SkeinSubjects.eventsStream)
            let last = try await jetStream.streamInfo(SkeinSubjects.eventsStream).lastSequence
            var next: UInt64 = 1
            while next <= last {
                let found = try await jetStream.messages(
                    stream: SkeinSubjects.eventsStream, sequences: next...min(last, next + 499))
                for sequence in next...min(last, next + 499) {
                    guard let message = found[sequence] else { continue }
                    arrived.messages += 1
                    if let id = message.headers[SkeinHeaders.messageID] { arrived.ids.append(id) }
                    let outcome = chunks.receive(
                        StageMessage(
                            subject: message.subject, sequence: sequence, timeNanoseconds: 0,
                            contentType: message.headers[SkeinHeaders.contentType], payload: message.payload),
                        chunk: message.headers[SkeinHeaders.chunk], id: message.headers[SkeinHeaders.chunkID])
                    guard let whole = outcome.message else { continue }
                    let batch = try EventBatch(unpacking: whole.payload)
                    for index in 0..<batch.count {
                        let event = try batch.event(at: index)
                        arrived.numbers[event.uuid.low >> 32, default: []].append(Int(event.uuid.low & 0xFFFF_FFFF))
                    }
                }
                next += 500
            }
            return arrived
        }
    }

    /// Everything once and in order.
    func expectAll(_ last: Int, runs: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let arrived = try await arrived()
        #expect(Set(arrived.ids).count == arrived.messages, sourceLocation: sourceLocation)
        for run in 1...runs {
            let numbers = arrived.numbers[UInt64(run)] ?? []
            #expect(
                numbers == Array(1...last), "run \(run) has \(numbers.count) events, from \(numbers.prefix(5))",
                sourceLocation: sourceLocation)
        }
    }
}

/// Waits for a condition, with a bound.
func eventually(
    _ what: String, within seconds: Int = 30, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !(try await condition()) {
        guard ContinuousClock.now < deadline else { throw Failure("waited \(seconds) s for \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Runs what blocks on a thread of its own: two of them would hold the whole pool of tasks on two cores.
func onThread(_ work: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
        Thread {
            work()
            continuation.resume()
        }.start()
    }
}
