internal import ArgumentParser
internal import Collector
internal import Foundation

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure throughput against this machine's own ceiling.",
        discussion: """
            Examples:
              skein bench                                    a table, in less than a minute
              skein bench --events 20000 --format json       shorter, for a program

            Starts nats-servers of its own on 127.0.0.1 with temporary data. docs/benchmarks.md says what the figures mean. A target that is
            missed is no failure: the exit code is 1 only when something could not be run.
            """)

    @Option(parsing: .unconditional, help: "Events of 1 KB to send through every stage.")
    var events = 128_000

    @Option(help: "The nats-server executable. Default: $SKEIN_NATS_SERVER, .tools/nats/bin/nats-server, then PATH.")
    var natsServer: String?

    @Option(help: "Form of the report: text or json.")
    var format = OutputFormat.text

    func validate() throws {
        guard (1_000...500_000).contains(events) else {
            throw ValidationError("--events must be between 1000 and 500000, is \(events)")
        }
    }

    func run() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "skein-bench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let benchmark = Benchmark(
            natsServer: try NATSServerLocator.find(explicit: natsServer), directory: directory.path, events: events,
            progress: { Terminal.progress("measuring \($0)") })
        let report = try await benchmark.run()
        Terminal.endProgress()
        switch format {
        case .text: Terminal.out(BenchCommand.table(report))
        case .json:
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            Terminal.out(Array(try encoder.encode(report)))
        }
    }

    private static func table(_ report: BenchmarkReport) -> String {
        let (workload, memory) = (report.workload, report.memory)
        var rows = [
            "workload: \(workload.events) events of \(number(workload.bytesPerEvent)) bytes on average in \(workload.messages) messages",
            "", row("ceiling", "events/s", "CPU µs/event"),
        ]
        for ceiling in report.ceilings {
            rows.append(
                row(
                    "  \(ceiling.name)", number(ceiling.eventsPerSecond),
                    number(ceiling.cpuMicrosecondsPerEvent, digits: 1)))
        }
        rows += ["", row("stage, through the broker", "events/s", "CPU µs/event", "per core", "of ceiling")]
        for stage in report.stages {
            rows.append(
                row(
                    "  \(stage.name)", number(stage.eventsPerSecond), number(stage.cpuMicrosecondsPerEvent, digits: 1),
                    number(stage.eventsPerSecondPerCore), "\(number(stage.shareOfCeiling * 100)) % of \(stage.ceiling)")
            )
        }
        rows += ["", row("in memory, one thread", "events/s", "CPU µs/event", "NeMo Relay")]
        for machine in report.inMemory {
            let cost = machine.cpuMicrosecondsPerEvent
            rows.append(
                row(
                    "  \(machine.name)", number(1_000_000 / cost), number(cost, digits: 1),
                    machine.referenceMicroseconds.map { number($0) } ?? ""))
        }
        rows += ["", row("codec, one body from its text", "bytes", "CPU µs/body")]
        for codec in report.codecs {
            rows.append(row("  \(codec.name)", "\(codec.bytes)", number(codec.cpuMicrosecondsPerBody, digits: 1)))
        }
        rows += [
            "", "collector of \(memory.tasks) tasks",
            "  idle: \(number(memory.idleMegabytes)) MB resident, \(memory.threads) threads, \(number(memory.idleCores * 100, digits: 1)) % of a core",
            "  \(memory.openTrajectories) open trajectories: \(number(memory.openMegabytes)) MB resident",
            "", row("an agent asks before it acts, 1000 a second", "µs p50", "µs p99", "of bare p50", "of bare p99"),
        ]
        for figure in report.guarding {
            rows.append(
                row(
                    "  \(figure.name)", number(figure.medianMicroseconds), number(figure.p99Microseconds),
                    "\(number(figure.medianRatio, digits: 1))x", "\(number(figure.p99Ratio, digits: 1))x"))
        }
        rows += publishing(report.publishing)
        rows += ["", "targets"]
        for target in report.targets {
            let figures = "\(number(target.value, digits: 1)) \(target.unit), at most \(number(target.limit))"
            rows.append("  \(target.isMet ? "met   " : "missed")  \(target.name): \(figures)")
        }
        return rows.joined(separator: "\n")
    }

    private static func publishing(_ figures: BenchmarkReport.Publishing) -> [String] {
        [
            "", row("an agent publishes with AgentKit", "CPU µs/event", "NeMo Relay", "ratio"),
            row("  a scope event that goes nowhere", number(figures.scopeMicroseconds, digits: 2)),
            row(
                "  a scope event that is published", number(figures.callerMicroseconds, digits: 2),
                number(figures.referenceMicroseconds), number(figures.shareOfReference, digits: 3)),
            row("  the whole process, until acknowledged", number(figures.cpuMicrosecondsPerEvent, digits: 2)),
            "  \(number(figures.eventsPerSecond)) events/s, \(number(figures.eventsPerSecondPerCore)) events/s per core",
        ]
    }

    private static func row(_ name: String, _ cells: String...) -> String {
        name.padding(toLength: 46, withPad: " ", startingAt: 0)
            + cells.map { String(repeating: " ", count: max(2, 14 - $0.count)) + $0 }.joined()
    }

    private static func number(_ value: Double, digits: Int = 0) -> String {
        String(format: "%.\(digits)f", value)
    }
}
