internal import ATOF
internal import LLMCodecs
internal import Trajectories

enum TrajectoryProperties {
    private static let agent = AgentDescription(name: "agent", version: "1")
    private static let second: UInt64 = 1_000_000_000

    /// The document of everything is JSON that reads as it was written.
    static func check(manual log: EventLog) throws(FuzzFailure) {
        for compatibility in [.skein, .strict] as [Compatibility] {
            let builder = TrajectoryBuilder(
                origin: .manual(sessionID: "session"), agent: agent, compatibility: compatibility,
                pricing: PricingSources())
            let draft = builder.draft(of: log.events)
            let document = draft.value
            try check(draft, document)
            if compatibility == .skein, !log.events.isEmpty { try validate(document) }
        }
    }

    /// Every event is in one trajectory or in none, and a restart changes no document.
    static func check(assembled log: EventLog) throws(FuzzFailure) {
        _ = try documents(.init(order: .reference), log, restarts: false)
        var configuration = TrajectoryAssembler.Configuration(order: .tolerant)
        configuration.linger = 2 * second
        configuration.idle = 30 * second
        configuration.maximumAge = 300 * second
        configuration.revise = 5 * second
        configuration.parentWait = 3 * second
        let whole = try documents(configuration, log, restarts: false)
        try FuzzFailure.unless(
            try documents(configuration, log, restarts: true) == whole, "a restart changes the documents")
        configuration.maximumOpen = 2
        configuration.maximumEvents = 5
        configuration.maximumOrphans = 4
        configuration.maximumOutsideScopes = 2
        configuration.maximumClosed = 1
        _ = try documents(configuration, log, restarts: false)
    }

    private static func documents(
        _ configuration: TrajectoryAssembler.Configuration, _ log: EventLog, restarts: Bool
    ) throws(FuzzFailure) -> [[UInt8]] {
        var assembler = TrajectoryAssembler(configuration: configuration)
        var documents: [[UInt8]] = []
        var settled = 0
        for (index, event) in log.events.enumerated() {
            if restarts {
                guard
                    let restored = try? TrajectoryAssembler(
                        configuration: configuration, snapshot: assembler.snapshot())
                else { throw FuzzFailure("a snapshot cannot be restored") }
                assembler = restored
            }
            let finished =
                assembler.timeAdvanced(to: UInt64(index + 1) * second)
                + assembler.receive(event, at: EventLog.reference(index), tenant: "t")
            for trajectory in finished { documents.append(try document(of: trajectory, log)) }
            settled += assembler.takeSettlements().reduce(0) { $0 + $1.assembled + $1.unassembled }
        }
        // Orphans are given up by time alone.
        for trajectory in assembler.timeAdvanced(to: 1 << 60) + assembler.finish() {
            documents.append(try document(of: trajectory, log))
        }
        settled += assembler.takeSettlements().reduce(0) { $0 + $1.assembled + $1.unassembled }
        try FuzzFailure.unless(settled == log.events.count, "\(settled) events of \(log.events.count) are settled")
        return documents
    }

    private static func document(of trajectory: FinishedTrajectory, _ log: EventLog) throws(FuzzFailure) -> [UInt8] {
        let references = trajectory.members.map(\.reference)
        try FuzzFailure.unless(Set(references).count == references.count, "an event is in a trajectory twice")
        let packed = references.compactMap(log.packed)
        try FuzzFailure.unless(packed.count == references.count, "a trajectory has an event that never came")
        let draft = trajectory.document(by: agent, .skein, of: packed, unavailable: []).draft
        let document = draft.value
        try check(draft, document)
        try validate(document)
        return DocumentWriter.bytes(of: document)
    }

    /// Whatever came, what Skein says is valid and adds up.
    private static func validate(_ document: JSONValue) throws(FuzzFailure) {
        // Counts that a provider gave wrongly stay as they are.
        if let finding = DocumentValidator.findings(in: document).first(where: { !$0.path.contains(".metrics.") }) {
            throw FuzzFailure("\(finding)")
        }
    }

    /// Payloads are written from the tape as they are as values, and the text reads as the document.
    private static func check(_ draft: JSONDraft, _ document: JSONValue) throws(FuzzFailure) {
        let text = DocumentWriter.bytes(of: draft)
        try FuzzFailure.unless(text == DocumentWriter.bytes(of: document), "a payload is written in two ways")
        try JSONProperties.check(document, as: text)
    }
}
