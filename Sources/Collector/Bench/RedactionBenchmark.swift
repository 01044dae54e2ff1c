internal import ATOF
internal import LLMCodecs
internal import Middleware

/// Measures `pii_redaction` on one thread: what a profile for each detector costs an event of the workload, and how the cost of a text that
/// is built to be slow grows with it.
struct RedactionBenchmark {
    /// Batches of events, as `process` puts them out.
    let messages: [[UInt8]]
    /// What `process` takes for an event without redaction, in microseconds of CPU.
    let process: Double
    private static let eventsWithSecrets = 20_000
    private static let shortText = 64 * 1024
    private static let longText = 4 * 1024 * 1024

    struct Result {
        var figures: [BenchmarkReport.InMemory]
        var targets: [BenchmarkReport.Target]
    }

    func run() throws -> Result {
        let plain = try Self.microsecondsPerEvent(MiddlewareChain(), messages)
        let redacted = try Self.microsecondsPerEvent(Self.chain(), messages)
        let secrets = BenchmarkWorkload.messages(events: Self.eventsWithSecrets, holdingSecrets: true).map(\.payload)
        let plainSecrets = try Self.microsecondsPerEvent(MiddlewareChain(), secrets)
        let redactedSecrets = try Self.microsecondsPerEvent(Self.chain(), secrets)
        let growth = try Detector.allCases.map(Self.growth).max() ?? 0
        return Result(
            figures: [
                .init(name: "decode, without redaction", cpuMicrosecondsPerEvent: plain),
                .init(name: "decode and redact, all detectors", cpuMicrosecondsPerEvent: redacted),
                .init(name: "the same, three findings in each event", cpuMicrosecondsPerEvent: redactedSecrets),
            ],
            targets: [
                .init("redaction with all detectors", redacted - plain, atMost: 15, "µs/event"),
                .init(
                    "redaction with three findings in each event", redactedSecrets - plainSecrets, atMost: 15,
                    "µs/event"),
                .init(
                    "decode and process with redaction, to the same without",
                    (process + redacted - plain) / process, atMost: 3, "times"),
                .init("redaction of hostile texts, 4 MB to 64 KB, per byte", growth, atMost: 3, "times"),
            ])
    }

    private static func settings(_ detector: Detector) -> BuiltinRedaction {
        var settings = BuiltinRedaction()
        settings.action = .redact
        settings.matcher = .detector(detector)
        return settings
    }

    /// A profile for each detector.
    private static func chain() throws -> MiddlewareChain {
        var component = PIIRedaction()
        component.profiles = Detector.allCases.enumerated().map { index, detector in
            var profile = PIIRedaction.Profile()
            profile.index = index
            profile.builtin = settings(detector)
            return profile
        }
        var middleware = MiddlewareSettings()
        middleware.piiRedaction = component
        return try MiddlewareChain(
            middleware, pricing: PricingSources([]), facts: CollectorFacts(collector: "bench", version: "1"), .skein)
    }

    private static func microsecondsPerEvent(_ chain: MiddlewareChain, _ messages: [[UInt8]]) throws -> Double {
        var chain = chain
        var notes = ChainNotes()
        var count = 0
        let start = ResourceUsage.threadCPU
        for message in messages {
            let batch = try EventBatch(unpacking: message)
            for index in 0..<batch.count {
                _ = chain.apply(try batch.event(at: index), tenant: BenchmarkWorkload.tenant, &notes)
                count += 1
            }
        }
        return (ResourceUsage.threadCPU - start) / .microseconds(1) / Double(max(count, 1))
    }

    /// Runs that nearly are what a detector looks for, so that it has to look at each byte often.
    private static let hostile = [
        "1", "4111 ", "a@a.", "eyJa.eyJa.", "a+b/c=", "1:", "https://x/)", "1.2.3.4.", "1(((",
    ]

    /// How often the time for a byte of a long text is that for a byte of a short one, at worst.
    private static func growth(_ detector: Detector) throws -> Double {
        let redactor = try Redactor(settings(detector), compatibility: .skein)
        func nanosecondsPerByte(_ unit: String, _ size: Int) -> Double {
            let text = String(repeating: unit, count: size / unit.utf8.count)
            let start = ResourceUsage.threadCPU
            _ = redactor.redact(text: text)
            return (ResourceUsage.threadCPU - start) / .nanoseconds(1) / Double(size)
        }
        return hostile.map { unit in
            // Warm, and not less than a clock can tell.
            _ = nanosecondsPerByte(unit, shortText)
            return nanosecondsPerByte(unit, longText) / max(nanosecondsPerByte(unit, shortText), 1)
        }.max() ?? 0
    }
}
