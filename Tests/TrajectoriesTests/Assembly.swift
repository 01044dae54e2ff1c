import ATOF
import Trajectories

/// Feeds an assembler with sample events at a time of a test's own, seconds of the log.
struct Assembly {
    static let second: UInt64 = 1_000_000_000
    static let agent = AgentDescription(name: "agent", version: "1")

    private(set) var assembler: TrajectoryAssembler
    private(set) var finished: [FinishedTrajectory] = []
    private(set) var settled = (assembled: 0, unassembled: 0)
    private(set) var sent: [EventFields] = []
    private var sequence: UInt64 = 0

    /// Lingers for 2 s, idles for 30, revises for 60.
    static var configuration: TrajectoryAssembler.Configuration {
        var configuration = TrajectoryAssembler.Configuration(order: .tolerant)
        configuration.linger = 2 * second
        configuration.idle = 30 * second
        configuration.maximumAge = 300 * second
        configuration.revise = 60 * second
        configuration.parentWait = 10 * second
        return configuration
    }

    init(_ configuration: TrajectoryAssembler.Configuration = Assembly.configuration) {
        assembler = TrajectoryAssembler(configuration: configuration)
    }

    mutating func send(_ fields: EventFields..., tenant: String = "t") throws {
        for fields in fields {
            sequence += 1
            sent.append(fields)
            let event = try Sample.events([fields])[0]
            finished += assembler.receive(event, at: .init(sequence: sequence, index: 0), tenant: tenant)
            settle()
        }
    }

    mutating func wait(until seconds: Double) {
        finished += assembler.timeAdvanced(to: UInt64(seconds * Double(Self.second)))
        settle()
    }

    /// The trajectories that were put out since the last call.
    mutating func takeFinished() -> [FinishedTrajectory] {
        defer { finished = [] }
        return finished
    }

    mutating func progress(interval: Double = 1, limit: Int = 10) -> [TrajectoryAssembler.Progress] {
        assembler.takeProgress(interval: UInt64(interval * Double(Self.second)), limit: limit)
    }

    mutating func retired() -> [EventUUID] { assembler.takeRetired().map(\.id) }

    mutating func deadline() -> Double? { assembler.nextDeadline().map { Double($0) / Double(Self.second) } }

    mutating func restart() throws {
        assembler = try TrajectoryAssembler(
            configuration: assembler.configuration, snapshot: assembler.snapshot())
    }

    private mutating func settle() {
        for settlement in assembler.takeSettlements() {
            settled.assembled += settlement.assembled
            settled.unassembled += settlement.unassembled
        }
    }
}

extension EventFields {
    /// With the run's root, as the producer says it.
    func of(root: Int) -> EventFields {
        var fields = self
        fields.propagationRootUUID = Sample.uuid(root)
        return fields
    }
}

extension FinishedTrajectory {
    /// The sequences of its events.
    var sequences: [UInt64] { members.map(\.reference.sequence) }
}
