internal import ATOF
internal import Stages
internal import Trajectories

/// Measures the pure machines: CPU for each event of one thread, without a broker.
struct MachineBenchmark {
    let messages: [(key: String, payload: [UInt8])]
    let events: Int

    struct Result {
        var figures: [BenchmarkReport.InMemory]
        /// What `process` put out.
        var processed: [[UInt8]]
    }

    func run() throws -> Result {
        var outcomes: [ProcessMachine.Outcome] = []
        let process = measure {
            var machine = ProcessMachine(partitioning: Partitioning(count: 8))
            for (index, message) in messages.enumerated() {
                outcomes.append(
                    machine.receive(
                        StageMessage(
                            subject: "skein.v1.events.0.\(BenchmarkWorkload.tenant).\(message.key)",
                            sequence: UInt64(index + 1),
                            timeNanoseconds: 0, contentType: SkeinHeaders.protobuf, payload: message.payload)))
            }
        }
        let processed = outcomes.flatMap { $0.pieces.map(\.frames.bytes) }
        outcomes = []

        let assemble = try measure {
            let agent = AgentDescription(name: "bench", version: "1")
            var assembler = TrajectoryAssembler(configuration: .init(order: .tolerant))
            try forEachEvent(processed) { event, reference in
                for finished in assembler.receive(event, at: reference) {
                    let built = finished.document(by: agent, .skein, of: finished.heldEvents, unavailable: [])
                    _ = DocumentWriter.bytes(of: built.draft, expected: built.expectedBytes)
                }
            }
        }
        return Result(
            figures: [
                .init(name: "decode and process", cpuMicrosecondsPerEvent: process),
                .init(name: "decode and assemble, with the document", cpuMicrosecondsPerEvent: assemble),
            ], processed: processed)
    }

    private func forEachEvent(
        _ messages: [[UInt8]], _ body: (Event, EventReference) throws -> Void
    ) throws {
        for (number, message) in messages.enumerated() {
            let batch = try EventBatch(unpacking: message)
            for index in 0..<batch.count {
                try body(try batch.event(at: index), .init(sequence: UInt64(number + 1), index: Int(index)))
            }
        }
    }

    /// Microseconds of CPU for each event.
    private func measure(_ body: () throws -> Void) rethrows -> Double {
        let start = ResourceUsage.threadCPU
        try body()
        return (ResourceUsage.threadCPU - start) / .microseconds(1) / Double(events)
    }
}
