import ATOF
import Middleware
import NATSTransport
import Stages
import Testing

@testable import Collector

@Suite("What is decided already, under another policy", .timeLimit(.minutes(2)))
struct StoredDecisionsTests {
    private static let tool = Run.uuid(run: 1, scope: 1)
    private static let root = Run.uuid(run: 1, scope: 0)

    private static func line(_ phase: String) -> String {
        AtofLine(phase: phase, uuid: tool.description, parent: root.description, name: "shell", category: "tool").text
    }

    private static let mark = AtofLine(
        kind: "mark", uuid: Run.uuid(run: 1, scope: 2).description, parent: root.description
    ).text

    /// Takes the tool's events out of the stream, or does not.
    private static func policy(drops: Bool) throws -> CurrentPolicy {
        var configuration = CollectorConfiguration()
        if drops {
            configuration.middleware.guardrails = GuardrailRules(rules: [
                GuardrailRule(
                    name: "no-shell", condition: .tools(.init(deny: [NameGlob("shell")])), actions: [.dropEvent],
                    reason: "no shells")
            ])
        }
        return try CurrentPolicy(configuration)
    }

    /// Every other one begins after a failure of the same member, without a fence.
    private static func worker(_ process: ProcessRig, epoch: UInt64, drops: Bool) async throws -> any StageWorker {
        try await ProcessStage(partitioning: Partitioning(count: 2), policy: try policy(drops: drops)).makeWorker(
            process.context(epoch: epoch, fences: epoch % 2 == 1), snapshot: nil, position: 0)
    }

    /// The phases of the tool that readers of PROCESSED see, in order.
    private static func phases(_ process: ProcessRig) async throws -> [Event.Kind] {
        try await process.processed().messages.flatMap { message in
            let batch = try EventBatch(unpacking: message.payload)
            return try (0..<batch.count).map { try batch.event(at: $0) }.filter { $0.uuid == tool }.map(\.kind)
        }
    }

    /// Everything is read again, as behind a crash before the first checkpoint.
    private static func run(_ process: ProcessRig, _ epoch: UInt64, drops: Bool, _ messages: [StageMessage])
        async throws
    {
        let worker = try await worker(process, epoch: epoch, drops: drops)
        try await process.delivering(worker) {
            for message in messages { try await worker.receive(message) }
            let last = messages.last?.sequence ?? 0
            try await eventually("it is stored") { await worker.confirmed() == last }
        }
    }

    @Test("a start that is stored keeps its end, though the policy that holds now drops it")
    func stored() async throws {
        try await Rig.with { rig in
            let process = try await ProcessRig(rig)
            let first = try ProcessRig.message(4, [Self.line("start"), Self.mark])
            try await Self.run(process, 1, drops: false, [first])
            try await Self.run(process, 2, drops: true, [first, try ProcessRig.message(5, [Self.line("end")])])
            #expect(try await Self.phases(process) == [.scopeStart, .scopeEnd])
        }
    }

    @Test("the end of a start that was dropped is dropped, though the policy that holds now keeps it")
    func dropped() async throws {
        try await Rig.with { rig in
            let process = try await ProcessRig(rig)
            let first = try ProcessRig.message(4, [Self.line("start"), Self.mark])
            try await Self.run(process, 1, drops: true, [first])
            try await Self.run(process, 2, drops: false, [first, try ProcessRig.message(5, [Self.line("end")])])
            #expect(try await Self.phases(process).isEmpty)
        }
    }

    @Test("what is not stored yet is decided by the policy that holds now")
    func undecided() async throws {
        try await Rig.with { rig in
            let process = try await ProcessRig(rig)
            let first = try ProcessRig.message(4, [Self.mark])
            try await Self.run(process, 1, drops: true, [first])
            let more = try ProcessRig.message(5, [Self.line("start")])
            try await Self.run(process, 2, drops: false, [first, more])
            #expect(try await Self.phases(process) == [.scopeStart])
            try await Self.run(process, 3, drops: true, [first, more, try ProcessRig.message(6, [Self.line("end")])])
            #expect(try await Self.phases(process) == [.scopeStart, .scopeEnd])
        }
    }
}
