import ATOF
import AgentEvents
import AgentKit
import Synchronization
import Testing

@Suite("Contributions while a model call runs")
struct OptimizationTests {
    let recorder = Recorder()
    var runtime: AgentRuntime { recorder.runtime }
    let request = ModelRequest(content: ["model": "m", "messages": [["role": "user", "content": "hi"]]])
    static let contribution: JSON = ["producer": "p", "kind": "k", "applied": true]

    // MARK: The machine

    /// When a contribution is told, and how many of how many are taken.
    struct Moment: Sendable {
        var text: String
        var before = 0
        var isStarted = true
        var isEnded = false
        var told: [JSON]
        var taken: Int
    }

    private static func large(_ bytes: Int) -> JSON { ["producer": JSON(String(repeating: "x", count: bytes))] }

    @Test(
        "a contribution is taken from the start to the end, within the bounds of the call",
        arguments: [
            Moment(text: "before the start", isStarted: false, told: [contribution], taken: 0),
            Moment(text: "meanwhile", told: [contribution, contribution], taken: 2),
            Moment(text: "behind those of the start", before: 3, told: [contribution], taken: 1),
            Moment(text: "behind the end", isEnded: true, told: [contribution], taken: 0),
            Moment(text: "no objects", told: [1, .null, contribution], taken: 1),
            Moment(text: "more than 64", before: 60, told: Array(repeating: contribution, count: 10), taken: 4),
            Moment(text: "what is no object is an attempt", before: 63, told: [1, contribution], taken: 0),
            Moment(text: "above 16 KiB", told: [large(17_000), large(10)], taken: 1),
            Moment(text: "above 256 KiB", told: Array(repeating: large(16_000), count: 20), taken: 16),
        ])
    func machine(moment: Moment) throws {
        let clock = AgentClock.manual()
        let now = clock.now()
        let makeUUID = { clock.makeUUID(now) }
        let frame = ScopeFrame.root(uuid: makeUUID(), at: now)
        let call = ManagedCall(.llm, "openai", uuid: makeUUID(), parent: frame)
        var machine = ModelCallMachine(call, model: nil, codec: nil)
        if moment.isStarted {
            let early = Array(repeating: Self.contribution, count: moment.before)
            let events = machine.started(
                ObservedModelRequest(request, codec: nil), optimizations: early, at: now, makeUUID: makeUUID)
            #expect(events.count == 1 + moment.before)
        }
        if moment.isEnded { #expect(machine.succeeded(response: 1, at: now).count == 1) }
        let marks = machine.record(moment.told, at: now, makeUUID: makeUUID)
        #expect(marks.count == moment.taken)
        for (index, mark) in marks.enumerated() {
            #expect(mark.name == "nemo_relay.llm.optimization")
            #expect(mark.parentUUID == call.uuid)
            // Never earlier than those before it, however close to the start they are told.
            let microseconds = UInt64(moment.before + index + 2)
            #expect(mark.timestamp.epochNanoseconds == now.epochNanoseconds.map { $0 + microseconds * 1000 })
        }
        if !moment.isStarted || moment.isEnded { return }
        let end = try #require(machine.succeeded(response: 1, at: clock.now()).first)
        let summary = JSON.encoded(end.categoryProfile).value["annotated_response"]?["optimization_summary"]
        #expect(summary?["contributions"]?.arrayValue?.count == moment.before + moment.taken)
    }

    // MARK: AgentKit

    @Test("it is published at once and before the end, and not any more once the call has ended")
    func order() async throws {
        let kept = Mutex<RunningModelCall?>(nil)
        try await runtime.currentScope.callModel("openai", request) { _ in
            kept.withLock { $0 = AgentRuntime.currentModelCall }
            #expect(recordOptimization(Self.contribution))
            let outline = try recorder.outline
            #expect(outline.last == "mark custom nemo_relay.llm.optimization")
            mark("noted")
            #expect(!recordOptimization("no object"))
            return 1
        }
        let running = try #require(kept.withLock { $0 })
        #expect(!running.recordOptimization(Self.contribution))
        #expect(!recordOptimization(Self.contribution))
        #expect(
            try recorder.outline == [
                "start llm openai", "mark custom nemo_relay.llm.optimization", "mark noted", "end llm openai",
            ])
        #expect(try recorder.event(.scopeStart, "openai")?.uuid == running.uuid)
        #expect(running.name == "openai")
    }

    @Test("it belongs to the innermost model call around, and a stack of its own is outside of it")
    func nesting() async throws {
        try await runtime.withScope(.agent, "a") { scope in
            try await scope.callModel("outer", request) { _ in
                try await withScope(.function, "f") { _ in
                    try await callTool("t") { _ in JSON(recordOptimization(Self.contribution)) }
                    try await callModel("inner", request) { _ in JSON(recordOptimization(Self.contribution)) }
                }
                await runtime.withStack { _ in #expect(AgentRuntime.currentModelCall == nil) }
                return 1
            }
        }
        let events = try recorder.output.events
        let parents = events.filter { $0.name == "nemo_relay.llm.optimization" }.map(\.parentUUID)
        let calls = ["outer", "inner"].map { name in events.first { $0.name == name }?.uuid }
        #expect(parents == calls)
    }

    @Test("a call that fails has told it all the same, and its summary too")
    func failing() async throws {
        await #expect(throws: AgentKitError.self) {
            try await runtime.currentScope.callModel("openai", request) { _ in
                recordOptimization(Self.contribution)
                throw AgentKitError(.timeout, "late")
            }
        }
        #expect(
            try recorder.outline == [
                "start llm openai", "mark custom nemo_relay.llm.optimization", "end llm openai",
            ])
        let end = try #require(try recorder.event(.scopeEnd, "openai"))
        #expect(
            end.categoryProfile?.value["annotated_response"]?["optimization_summary"]?["contributions"]?.arrayValue?
                .count == 1)
    }

    @Test("of a stream until it ends, also by who only keeps the call; an interrupted one says so")
    func streams() async throws {
        try runtime.register(
            .modelStreamIntercept("counts") { _, request, next in
                let call = AgentRuntime.currentModelCall
                return ModelChunks(
                    try await next(request).map { chunk in
                        // By whoever reads the stream, in no call of the agent any more.
                        #expect(AgentRuntime.currentModelCall == nil)
                        call?.recordOptimization(Self.contribution)
                        return chunk
                    })
            })
        let stream = try await runtime.currentScope.streamModel("openai", request) { _ in ModelChunks([1, 2]) }
        var iterator = stream.makeAsyncIterator()
        _ = try await iterator.next()
        stream.close()
        #expect(
            try recorder.outline == [
                "start llm openai", "mark custom nemo_relay.llm.optimization", "mark llm.chunk", "end llm openai",
            ])
        let end = try #require(try recorder.event(.scopeEnd, "openai"))
        let summary = end.categoryProfile?.value["annotated_response"]?["optimization_summary"]
        #expect(summary?["contributions"]?.arrayValue?.count == 1)
        #expect(summary?["limitations"]?.arrayValue?.contains("stream_interrupted") == true)
    }

    @Test("whoever tells at the same time: what was taken is published before the end, and nothing behind it")
    func race() async throws {
        for _ in 0..<20 {
            let recorder = Recorder()
            let taken = await withTaskGroup(of: Int.self) { group in
                let (calls, continuation) = AsyncStream.makeStream(of: RunningModelCall.self)
                group.addTask {
                    _ = try? await recorder.runtime.currentScope.callModel("openai", request) { _ in
                        if let call = AgentRuntime.currentModelCall { continuation.yield(call) }
                        continuation.finish()
                        return 1
                    }
                    return 0
                }
                group.addTask {
                    var count = 0
                    for await call in calls { while call.recordOptimization(Self.contribution) { count += 1 } }
                    return count
                }
                return await group.reduce(0, +)
            }
            let outline = try recorder.outline
            #expect(outline.last == "end llm openai")
            #expect(outline.count == taken + 2)
        }
    }
}
