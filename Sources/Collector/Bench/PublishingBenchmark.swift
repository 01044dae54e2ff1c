internal import ATOF
internal import AgentKit
internal import Foundation
internal import Logging
internal import NATSTransport

/// Measures what publishing costs an agent that uses AgentKit: on its own path, and in the whole process.
struct PublishingBenchmark {
    private static let keys = 64
    /// What NeMo Relay 0.10.4 takes of the caller for each scope event from Python.
    private static let reference = 72.0

    let url: String
    let events: Int

    /// CPU of the calling thread.
    private struct CallerTimes {
        var packing = Duration.zero
        var appending = Duration.zero
    }

    func run() async throws -> BenchmarkReport.Publishing {
        var configuration = PublisherConfiguration(urls: [url])
        configuration.tenant = BenchmarkWorkload.tenant
        configuration.memoryBytes = 128 << 20
        configuration.memoryEvents = events
        configuration.whenFull = .block(atMost: .seconds(60))
        let publisher = try SkeinPublisher(
            configuration, logger: Logger(label: "skein-bench") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await publisher.run() }
        // The first events pay for the connection and for memory that is touched the first time.
        _ = append(1000, to: publisher)
        guard await publisher.flush(timeout: .seconds(60)) else { throw failure(publisher) }
        let (start, cpu) = (ContinuousClock.now, ResourceUsage.processCPU)
        let caller = await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: append(events, to: publisher)) }.start()
        }
        guard await publisher.flush(timeout: .seconds(60)) else { throw failure(publisher) }
        let (time, used) = (ContinuousClock.now - start, ResourceUsage.processCPU - cpu)
        publisher.shutdown()
        try await running.value
        guard publisher.statistics.droppedTotal == 0 else { throw failure(publisher) }
        func micros(_ time: Duration) -> Double { time / .microseconds(1) / Double(events) }
        let perCaller = micros(caller.packing + caller.appending)
        return .init(
            events: events, appendMicroseconds: micros(caller.appending), callerMicroseconds: perCaller,
            referenceMicroseconds: PublishingBenchmark.reference,
            shareOfReference: perCaller / PublishingBenchmark.reference, cpuMicrosecondsPerEvent: micros(used),
            eventsPerSecond: Double(events) / (time / .seconds(1)),
            eventsPerSecondPerCore: Double(events) / (used / .seconds(1)))
    }

    private func failure(_ publisher: SkeinPublisher) -> CollectorError {
        CollectorError(
            "the agent's events did not all arrive: \(publisher.statistics.acknowledged) of \(publisher.statistics.appended)"
        )
    }

    /// Starts and ends of scopes with 1 KB of data, a few at a time, so that the clock costs nothing.
    private func append(_ count: Int, to publisher: SkeinPublisher) -> CallerTimes {
        let data = Array("{\"text\":\"\(String(repeating: "x", count: 800))\"}".utf8)
        var times = CallerTimes()
        var number = 0
        while number < count {
            var packed: [(event: [UInt8], key: EventUUID)] = []
            let begun = ResourceUsage.threadCPU
            while packed.count < 256, number + packed.count < count {
                let index = number + packed.count
                let key = EventUUID(high: 1, low: UInt64(index % PublishingBenchmark.keys))
                packed.append((event(index, key, data), key))
            }
            let between = ResourceUsage.threadCPU
            for (event, key) in packed { publisher.append(event, key: key) }
            times.packing += between - begun
            times.appending += ResourceUsage.threadCPU - between
            number += packed.count
        }
        return times
    }

    private func event(_ index: Int, _ key: EventUUID, _ data: [UInt8]) -> [UInt8] {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var fields = EventFields(
            kind: index % 2 == 0 ? .scopeStart : .scopeEnd, uuid: EventUUID(high: 2, low: UInt64(index / 2)),
            timestamp: EventTime(epochNanoseconds: UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)),
            name: "search")
        fields.category = "tool"
        fields.parentUUID = key
        fields.data = data
        return fields.packed()
    }
}
