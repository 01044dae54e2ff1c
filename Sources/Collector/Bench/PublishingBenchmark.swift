internal import ATOF
internal import AgentKit
internal import Foundation
internal import Logging
internal import NATSTransport

/// Measures what publishing costs an agent that uses AgentKit: on its own path, and in the whole process.
struct PublishingBenchmark {
    private static let eventsOfRun = 20
    /// What NeMo Relay 0.10.4 takes of the caller for each scope event from Python.
    private static let reference = 72.0

    let url: String
    let events: Int

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
        _ = await publish(1000, to: publisher)
        guard await publisher.flush(timeout: .seconds(60)) else { throw failure(publisher) }
        let (start, cpu) = (ContinuousClock.now, ResourceUsage.processCPU)
        let caller = await publish(events, to: publisher)
        guard await publisher.flush(timeout: .seconds(60)) else { throw failure(publisher) }
        let (time, used) = (ContinuousClock.now - start, ResourceUsage.processCPU - cpu)
        publisher.shutdown()
        try await running.value
        guard publisher.statistics.droppedTotal == 0 else { throw failure(publisher) }
        func micros(_ time: Duration) -> Double { time / .microseconds(1) / Double(events) }
        let perCaller = micros(caller)
        return .init(
            events: events, scopeMicroseconds: micros(await publish(events, to: Nobody())),
            callerMicroseconds: perCaller,
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

    private struct Nobody: EventOutput {
        func append(_ event: [UInt8], key: EventUUID) {}
    }

    /// Runs of an agent that calls tools, with 1 KB of data in each event, on a thread of their own.
    ///
    /// - Returns: CPU of that thread.
    private func publish(_ count: Int, to output: any EventOutput) async -> Duration {
        let runtime = AgentRuntime(output: output)
        let data = JSON.encoded(Array("{\"text\":\"\(String(repeating: "x", count: 800))\"}".utf8))
        return await withCheckedContinuation { continuation in
            Thread {
                let begun = ResourceUsage.threadCPU
                for _ in 0..<(count / PublishingBenchmark.eventsOfRun) {
                    runtime.withScope(.agent, "planner", input: data) { agent in
                        for _ in 1..<(PublishingBenchmark.eventsOfRun / 2) {
                            agent.withScope(.tool, "search", input: data) { $0.setOutput(data) }
                        }
                        agent.setOutput(data)
                    }
                }
                continuation.resume(returning: ResourceUsage.threadCPU - begun)
            }.start()
        }
    }
}
