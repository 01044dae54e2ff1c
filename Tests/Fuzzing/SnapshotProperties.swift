internal import ATOF
internal import OTLP
internal import Projections
internal import Stages
internal import Trajectories

/// Snapshots that storage has damaged, or that somebody has written.
enum SnapshotProperties {
    private static let second: UInt64 = 1_000_000_000

    /// What can be restored goes on: it is what its own snapshot says, and takes events.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        guard let first = input.first else { return }
        let snapshot = Array(input.dropFirst())
        switch first % 7 {
        case 0: try checkProjector(snapshot)
        case 1: try checkAssembler(snapshot)
        case 2: try checkProcess(snapshot)
        case 3: try checkChunks(snapshot)
        case 4: try checkLedger(snapshot)
        case 5: try checkLogs(snapshot)
        default: try checkMetrics(snapshot)
        }
    }

    /// Each machine's snapshot from the midst of a recording.
    static func seeds(from log: EventLog) -> [[UInt8]] {
        let half = log.events.prefix(log.events.count / 2 + 1)
        var projector = SpanProjector(configuration: projection)
        var assembler = TrajectoryAssembler(configuration: assembly)
        for (index, event) in half.enumerated() {
            var output = ProjectionOutput()
            projector.receive(event, at: EventLog.reference(index), of: "t", into: &output) { _ in nil }
            _ = assembler.timeAdvanced(to: UInt64(index + 1) * second)
            _ = assembler.receive(event, at: EventLog.reference(index), tenant: "t")
        }
        var logs = LogProjector(configuration: LogConfiguration())
        var metrics = MetricProjector(configuration: MetricConfiguration())
        for event in half {
            var (logged, measured) = (LogOutput(), MetricOutput())
            logs.receive(event, of: "t", into: &logged)
            metrics.receive(event, of: "t", into: &measured)
        }
        var process = ProcessMachine(partitioning: Partitioning(count: 4))
        _ = process.receive(message(log.batch))
        var chunks = ChunkAssembler(stage: "process", stream: SkeinSubjects.eventsStream)
        _ = chunks.receive(message(log.batch), chunk: "1/3", id: "id")
        return [
            [0] + projector.snapshot(), [1] + assembler.snapshot(), [2] + process.snapshot(), [3] + chunks.snapshot(),
            [4] + process.ledger.snapshot(), [5] + logs.snapshot(), [6] + metrics.snapshot(),
        ]
    }

    private static var projection: ProjectionConfiguration {
        var configuration = ProjectionConfiguration(projection: .full, idle: 30 * second, maximumAge: 300 * second)
        configuration.maximumHeldBytes = 0
        return configuration
    }

    private static var assembly: TrajectoryAssembler.Configuration {
        var configuration = TrajectoryAssembler.Configuration(order: .tolerant)
        (configuration.linger, configuration.idle, configuration.revise) = (2 * second, 30 * second, 5 * second)
        return configuration
    }

    private static func message(_ payload: [UInt8]) -> StageMessage {
        StageMessage(
            subject: "skein.v1.events.0.t.key", sequence: 9, timeNanoseconds: 9 * second,
            contentType: SkeinHeaders.protobuf, payload: payload)
    }

    /// A run that comes after a restore.
    private static let events = EventLog(
        lines: Array(
            """
            {"kind":"scope","scope_category":"start","atof_version":"0.1","uuid":"0195f1e0-0000-7000-8000-000000000001","parent_uuid":null,"timestamp":"2026-01-01T00:00:00Z","name":"a","category":"agent","attributes":[]}
            {"kind":"mark","atof_version":"0.1","uuid":"0195f1e0-0000-7000-8000-000000000002","parent_uuid":"0195f1e0-0000-7000-8000-000000000001","timestamp":"2026-01-01T00:00:01Z","name":"m"}
            {"kind":"scope","scope_category":"end","atof_version":"0.1","uuid":"0195f1e0-0000-7000-8000-000000000001","parent_uuid":null,"timestamp":"2026-01-01T00:00:02Z","name":"a","category":"agent","attributes":[]}
            """.utf8))

    private static func checkProjector(_ snapshot: [UInt8]) throws(FuzzFailure) {
        guard var projector = try? SpanProjector(configuration: projection, snapshot: snapshot) else { return }
        let own = projector.snapshot()
        guard let again = try? SpanProjector(configuration: projection, snapshot: own) else {
            throw FuzzFailure("a projector's own snapshot cannot be restored")
        }
        try FuzzFailure.unless(again.snapshot() == own, "a restart changes a projector's snapshot")
        _ = (projector.oldestReference, projector.nextDeadline())
        var output = ProjectionOutput()
        for (index, event) in events.events.enumerated() {
            projector.receive(event, at: EventLog.reference(index), of: "t", into: &output) { _ in nil }
            projector.enforceBounds(after: nil)
        }
        projector.advance(to: .max, into: &output)
        while projector.hasLeaving { projector.leave(16, into: &output) { _ in nil } }
        _ = projector.snapshot()
    }

    private static func checkAssembler(_ snapshot: [UInt8]) throws(FuzzFailure) {
        guard var assembler = try? TrajectoryAssembler(configuration: assembly, snapshot: snapshot) else { return }
        let own = assembler.snapshot()
        guard let again = try? TrajectoryAssembler(configuration: assembly, snapshot: own) else {
            throw FuzzFailure("an assembler's own snapshot cannot be restored")
        }
        try FuzzFailure.unless(again.snapshot() == own, "a restart changes an assembler's snapshot")
        _ = (assembler.oldestReference, assembler.nextDeadline())
        for (index, event) in events.events.enumerated() {
            _ = assembler.receive(event, at: EventLog.reference(index), tenant: "t")
        }
        _ = assembler.takeProgress(interval: 0, limit: 10)
        _ = assembler.timeAdvanced(to: .max)
        _ = assembler.finish()
        _ = assembler.snapshot()
    }

    private static func checkProcess(_ snapshot: [UInt8]) throws(FuzzFailure) {
        let partitioning = Partitioning(count: 4)
        guard var machine = try? ProcessMachine(partitioning: partitioning, snapshot: snapshot) else { return }
        _ = (machine.openScopes, machine.producerGaps, machine.missingEvents)
        let own = machine.snapshot()
        guard let again = try? ProcessMachine(partitioning: partitioning, snapshot: own) else {
            throw FuzzFailure("a process machine's own snapshot cannot be restored")
        }
        try FuzzFailure.unless(again.snapshot() == own, "a restart changes a process machine's snapshot")
        for _ in 0..<2 { _ = machine.receive(message(events.batch)) }
        _ = machine.snapshot()
    }

    private static func checkChunks(_ snapshot: [UInt8]) throws(FuzzFailure) {
        let stream = SkeinSubjects.eventsStream
        guard var chunks = try? ChunkAssembler(stage: "process", stream: stream, snapshot: snapshot) else { return }
        _ = (chunks.missing, chunks.oldestReference, chunks.deadline)
        let own = chunks.snapshot()
        guard let again = try? ChunkAssembler(stage: "process", stream: stream, snapshot: own) else {
            throw FuzzFailure("a chunk assembler's own snapshot cannot be restored")
        }
        try FuzzFailure.unless(again.snapshot() == own, "a restart changes a chunk assembler's snapshot")
        chunks.provide { $0 % 2 == 0 ? [1] : nil }
        for number in 1...3 { _ = chunks.receive(message([1]), chunk: "\(number)/3", id: "id") }
        _ = chunks.snapshot()
    }

    private static func checkLedger(_ snapshot: [UInt8]) throws(FuzzFailure) {
        guard var ledger = try? Ledger<String>(snapshot: snapshot) else { return }
        let own = ledger.snapshot()
        guard let again = try? Ledger<String>(snapshot: own) else {
            throw FuzzFailure("a ledger's own snapshot cannot be restored")
        }
        try FuzzFailure.unless(again.snapshot() == own, "a restart changes a ledger's snapshot")
        ledger.add(1, .received, tenant: "t", key: "key")
        ledger.remove(1, .received, tenant: "t", key: "key")
        _ = (ledger.total(), ledger.entries())
        _ = ledger.snapshot()
    }

    private static func checkLogs(_ snapshot: [UInt8]) throws(FuzzFailure) {
        let configuration = LogConfiguration(maximumAge: 300 * second)
        guard var projector = try? LogProjector(configuration: configuration, snapshot: snapshot) else { return }
        let own = projector.snapshot()
        guard let again = try? LogProjector(configuration: configuration, snapshot: own) else {
            throw FuzzFailure("a log projector's own snapshot cannot be restored")
        }
        try FuzzFailure.unless(again.snapshot() == own, "a restart changes a log projector's snapshot")
        var output = LogOutput()
        for event in events.events { projector.receive(event, of: "t", into: &output) }
        _ = projector.nextDeadline()
        projector.advance(to: .max)
        _ = projector.snapshot()
    }

    private static func checkMetrics(_ snapshot: [UInt8]) throws(FuzzFailure) {
        let configuration = MetricConfiguration(temporality: .delta)
        guard var projector = try? MetricProjector(configuration: configuration, snapshot: snapshot) else { return }
        let own = projector.snapshot()
        guard let again = try? MetricProjector(configuration: configuration, snapshot: own) else {
            throw FuzzFailure("a metric projector's own snapshot cannot be restored")
        }
        try FuzzFailure.unless(again.snapshot() == own, "a restart changes a metric projector's snapshot")
        var output = MetricOutput()
        for event in events.events { projector.receive(event, of: "t", into: &output) }
        projector.advance(to: .max, into: &output)
        projector.finish(into: &output)
        _ = output.metrics.map { MetricEncoder.encode($0.metric) }
        _ = projector.snapshot()
    }
}
