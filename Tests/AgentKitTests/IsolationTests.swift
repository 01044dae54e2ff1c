import ATOF
import AgentKit
import Foundation
import Testing

@Suite("Scopes, isolation and propagation")
struct IsolationTests {
    let recorder = Recorder()
    var runtime: AgentRuntime { recorder.runtime }

    @Test("a hundred concurrent requests do not mix")
    func requests() async throws {
        let runtime = runtime
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<100 {
                group.addTask {
                    try await runtime.withScope(.agent, "agent-\(index)") { scope in
                        try scope.register(
                            .markSanitizer("only-mine") { event in
                                var payloads = event.payloads
                                payloads.data = JSON(index)
                                return payloads
                            })
                        try await withThrowingTaskGroup(of: Void.self) { inner in
                            for tool in 0..<3 {
                                inner.addTask {
                                    await Task.yield()
                                    try await callTool("tool-\(index)-\(tool)") { _ in
                                        mark("mark-\(index)")
                                        return JSON(index)
                                    }
                                }
                            }
                            try await inner.waitForAll()
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let events = try recorder.output.events
        #expect(events.count == 100 * (2 + 3 * 3))
        var agents: [String: EventUUID] = [:]
        for event in events where event.kind == .scopeStart && event.category?.known == .agent {
            agents[event.name] = event.uuid
        }
        for (event, key) in zip(events, recorder.output.keys) {
            let index = event.name.split(separator: "-")[1]
            let agent = try #require(agents["agent-\(index)"])
            #expect(key == agent)
            #expect(event.propagationRootUUID == agent)
            if event.uuid != agent { #expect(event.parentUUID == agent) }
            if event.isMark { #expect(event.data?.value.int64Value == Int64(index)) }
        }
    }

    @Test("an end is at least a microsecond behind its start, also when the clock stands still or is set back")
    func endTimes() async throws {
        let output = RecordingOutput()
        let manual = AgentClock.manual()
        let still = AgentClock(
            now: { EventTime(epochMicroseconds: 1_000_000) }, elapsed: { 0 }, makeUUID: manual.makeUUID)
        let runtime = AgentRuntime(output: output, clock: still)
        try await runtime.withScope(.agent, "a") { scope in try await scope.callTool("t") { _ in 1 } }
        let times = try output.events.map { $0.timestamp.epochNanoseconds }
        #expect(times == [1_000_000_000, 1_000_000_000, 1_000_001_000, 1_000_001_000])
    }

    @Test("registrations of a scope hold for its own end, and not behind it")
    func scopeLocal() async throws {
        try await runtime.withStack { stack in
            try stack.withScope(.agent, "a") { scope in
                try scope.register(.metadataInjector("tag") { _ in ["tag": 1] })
                scope.mark("inside")
            }
            stack.mark("outside")
        }
        let events = try recorder.output.events
        #expect(events.map { $0.metadata?.value["tag"] } == [nil, 1, 1, nil])
    }

    @Test("event sanitizers replace the three payloads, and one that fails clears them")
    func eventSanitizers() async throws {
        try runtime.register(
            .scopeStartSanitizer("start") { event in
                AgentEvent.Payloads(data: ["was": event.data], categoryProfile: ["subtype": "x"], metadata: .null)
            })
        try runtime.register(.scopeEndSanitizer("end") { _ in throw ValueError(description: "crash") })
        runtime.withScope(.custom, "c", input: 1, metadata: ["m": 1]) { scope in scope.setOutput("secret") }
        let events = try recorder.output.events
        #expect(events[0].data?.value == ["was": 1])
        #expect(events[0].categoryProfile?.value == ["subtype": "x"])
        #expect(events[0].metadata == nil)
        #expect(events[1].data == nil)
        #expect(events[1].metadata == nil)
    }

    @Test("what is registered for a scope holds for what comes late of it: marks, calls, and the rest of a stream")
    func late() async throws {
        let hidden: AgentMiddleware.EventSanitizer = { event in
            var payloads = event.payloads
            payloads.metadata = ["hidden": true]
            return payloads
        }
        let (scope, stream) = try await runtime.withScope(.function, "ask") { scope in
            try scope.register(.modelResponseSanitizer("response") { _, _ in "HIDDEN" })
            try scope.register(.toolResponseSanitizer("result") { _, _ in "HIDDEN" })
            try scope.register(.scopeEndSanitizer("end", hidden))
            try scope.register(.markSanitizer("mark", hidden))
            let stream = try await scope.streamModel(
                "llm", ModelRequest(content: ["q": 1]), finalize: { _ in "SECRET" }
            ) { _ in ModelChunks([["a": 1]]) }
            // The call has begun: whatever happens to the registration, it passes it.
            scope.remove(.modelResponseSanitizer, "response")
            return (scope, stream)
        }
        scope.mark("late", metadata: "SECRET")
        try await scope.callTool("tool") { _ in "SECRET" }
        for try await _ in stream {}
        #expect(throws: AgentKitError.self) { try scope.register(.markSanitizer("another", hidden)) }
        let late = try recorder.output.events.drop { $0.name != "late" }
        #expect(late.map(\.name) == ["late", "tool", "tool", "llm.chunk", "llm"])
        #expect(late.filter { $0.kind != .scopeStart }.allSatisfy { $0.metadata?.value == ["hidden": true] })
        #expect(late.filter { $0.kind == .scopeEnd }.map { $0.data?.value } == ["HIDDEN", "HIDDEN"])
    }

    @Test("what callbacks publish comes right behind the event that they look at")
    func reactions() async throws {
        try runtime.register(
            .subscriber("reacts") { event in
                if event.kind == .scopeStart, event.name == "inner" {
                    withScope(.function, "check") { _ in mark("in-check") }
                    mark("second")
                }
                if event.name == "in-check" { mark("nested") }
            })
        try runtime.register(
            .markSanitizer("also") { event in
                if event.name == "second" { mark("by-sanitizer") }
                return event.payloads
            })
        runtime.withScope(.agent, "outer") { outer in outer.withScope(.function, "inner") { _ in } }
        #expect(
            try recorder.outline == [
                "start agent outer", "start function inner", "start function check", "mark in-check", "mark nested",
                "end function check", "mark second", "mark by-sanitizer", "end function inner", "end agent outer",
            ])
    }

    @Test("reactions to reactions end at a depth of four, and the sanitizers see all that is published")
    func endlessReactions() async throws {
        let runtime = runtime
        try runtime.register(.subscriber("always") { _ in runtime.currentScope.mark("again") })
        try runtime.register(.markSanitizer("hides") { _ in AgentEvent.Payloads(data: "HIDDEN") })
        runtime.withScope(.agent, "a") { _ in }
        #expect(
            try recorder.outline
                == ["start agent a"] + Array(repeating: "mark again", count: 4) + ["end agent a"]
                + Array(repeating: "mark again", count: 4))
        #expect(try recorder.output.events.filter(\.isMark).allSatisfy { $0.data?.value == "HIDDEN" })
    }

    @Test("where no scope is open nothing can be registered for one: it would hold for nobody")
    func noScope() throws {
        #expect {
            try runtime.currentScope.register(.markSanitizer("m") { _ in AgentEvent.Payloads() })
        } throws: { ($0 as? AgentKitError)?.code == .scopeStackEmpty }
    }

    @Test("a closure that only throws is one of the plain kind, and one may return an annotation")
    func toolClosures() async throws {
        let runtime = runtime
        await #expect(throws: KeyError.self) {
            try await runtime.currentScope.callTool("t") { _ in throw KeyError(description: "k") }
        }
        try await runtime.withScope(.agent, "a") { scope in
            let result = try await scope.callTool("t") { _ in ToolResult("r", annotation: ["a": 1]) }
            #expect(result.annotation == ["a": 1])
            let free = try await callTool("f", data: "none") { _ in ToolResult(.null, annotation: 2) }
            #expect(free.annotation == 2)
        }
        #expect(try recorder.output.events.last { $0.name == "f" }?.data?.value == "none")
    }

    @Test("subscribers see what is published")
    func subscribers() async throws {
        let (seen, continuation) = AsyncStream<String>.makeStream()
        try runtime.register(.subscriber("log") { continuation.yield("\($0.name) \($0.metadata)") })
        runtime.withScope(.function, "f") { _ in }
        continuation.finish()
        var lines: [String] = []
        for await line in seen { lines.append(line) }
        #expect(lines == ["f null", #"f {"otel.status_code":"OK"}"#])
    }

    @Test("a detached task goes on in a scope that it is given")
    func activation() async throws {
        let runtime = runtime
        await runtime.withScope(.agent, "a") { scope in
            await Task.detached { await scope.activated { _ in mark("from afar") } }.value
        }
        let events = try recorder.output.events
        #expect(events[1].parentUUID == events[0].uuid)
    }

    @Test("a fork keeps the parent and loses the registrations")
    func fork() async throws {
        let runtime = runtime
        try await runtime.withScope(.agent, "a") { scope in
            try scope.register(.metadataInjector("tag") { _ in ["tag": 1] })
            await runtime.withFork { _ in mark("forked") }
        }
        let events = try recorder.output.events
        #expect(events[1].parentUUID == events[0].uuid)
        #expect(events[1].propagationRootUUID == events[0].uuid)
        #expect(events[1].metadata == nil)
        #expect(Set(recorder.output.keys).count == 1)
    }

    @Test("free functions without a runtime do nothing and fail nothing")
    func noRuntime() async throws {
        let result = try await withScope(.agent, "nobody") { scope in
            try await scope.callTool("t", ["x": 1]) { $0["x"] ?? .null }
        }
        #expect(result == 1)
    }

    // MARK: Context

    @Test("the context names the managed call under way, and comes back from headers and JSON")
    func context() async throws {
        let runtime = runtime
        try await runtime.withScope(.agent, "a") { scope in
            #expect(runtime.context == scope.context)
            #expect(scope.context.rootUUID == scope.uuid)
            try await scope.callTool("t") { _ in
                let context = runtime.context
                #expect(context.parentUUID != scope.uuid)
                #expect(context.rootUUID == scope.uuid)
                let read = try PropagationContext(json: context.json)
                #expect(read == context)
                let fromHeaders = try PropagationContext(headers: context.headers)
                #expect(fromHeaders == context)
                let traced = try PropagationContext(traceparent: context.traceparent())
                #expect(traced.rootUUID == scope.uuid)
                return 1
            }
        }
    }

    @Test(
        "contexts that are none are refused",
        arguments: [
            #"{"version":2,"parent_uuid":"01970000-0000-7000-8000-0000000000bb"}"#, #"{"version":1}"#, "no",
            #"{"version":1,"parent_uuid":"01970000-0000-7000-0000-000000000000"}"#,
            #"{"version":1,"root_uuid":"x","parent_uuid":"01970000-0000-7000-8000-0000000000bb"}"#,
            #"{"version":1,"run_uuid":"x","parent_uuid":"01970000-0000-7000-8000-0000000000bb"}"#,
        ])
    func wrongContexts(json: String) {
        #expect(throws: AgentKitError.self) { try PropagationContext(json: json) }
    }

    @Test("a run is one, also where an agent below another scope goes on in another process, and from there in a third")
    func oneRun() async throws {
        let (second, third) = (Recorder(), Recorder())
        try await runtime.withScope(.function, "job") { _ in
            try await runtime.withScope(.agent, "a") { _ in
                let first = try #require(try PropagationContext(headers: runtime.context.headers))
                try await second.runtime.withContext(first) { bottom in
                    bottom.mark("arrived")
                    try await second.runtime.withScope(.agent, "b") { _ in
                        let next = try PropagationContext(json: second.runtime.context.json)
                        await third.runtime.withContext(next) { _ in
                            await third.runtime.withFork { _ in third.runtime.withScope(.tool, "c") { _ in } }
                        }
                    }
                }
            }
        }
        #expect(Set(recorder.output.keys + second.output.keys + third.output.keys).count == 1)
        #expect(second.output.count == 3 && third.output.count == 2)
    }

    @Test("a context without a root has no traceparent")
    func noTraceparent() throws {
        let parent = try #require(EventUUID("01970000-0000-7000-8000-0000000000bb"))
        let context = try PropagationContext(rootUUID: nil, parentUUID: parent)
        #expect(throws: AgentKitError.self) { try context.traceparent() }
        #expect(context.headers.map(\.name) == ["Skein-Context"])
        #expect(try PropagationContext(headers: [(name: "Other", value: "x")]) == nil)
    }

    // MARK: Identifiers and payloads

    @Test("identifiers are of version 7 and differ")
    func identifiers() {
        let clock = AgentClock.system
        let now = clock.now()
        let identifiers = (0..<10_000).map { _ in clock.makeUUID(now) }
        #expect(Set(identifiers).count == identifiers.count)
        #expect(identifiers.allSatisfy { $0.high >> 12 & 15 == 7 && $0.low >> 62 == 2 })
    }

    @Test("Swift values become JSON")
    func encoding() throws {
        enum Kind: String, Encodable { case one }
        struct Point: Encodable {
            var x = 1
            var y: Double? = nil
            var tags = ["a", "b"]
            var nested = ["k": [true, false]]
            var big = UInt64.max
            var json: JSON = ["any": nil]
            var kind = Kind.one
        }
        let json = try JSON(encoding: Point())
        #expect(
            json == [
                "x": 1, "tags": ["a", "b"], "nested": ["k": [true, false]], "big": JSON(UInt64.max),
                "json": ["any": nil], "kind": "one",
            ])
        let url = try #require(URL(string: "https://example.org/a?b=c"))
        let numbers: [Decimal] = [1.5, -3, Decimal(UInt64.max)]
        #expect(try JSON(encoding: ["url": url]) == ["url": "https://example.org/a?b=c"])
        #expect(try JSON(encoding: url) == "https://example.org/a?b=c")
        #expect(try JSON(encoding: numbers) == [1.5, -3, JSON(UInt64.max)])
        #expect(try JSON(encoding: Data([0, 255])) == "AP8=")
        #expect(try JSON(encoding: Date(timeIntervalSinceReferenceDate: 2.5)) == 2.5)
        #expect(try JSON(encoding: [1, 2]) == [1, 2])
        #expect(try JSON(encoding: "text") == "text")
    }

    @Test("an event of encoded text that is no JSON is still an event")
    func brokenText() async throws {
        runtime.withScope(.agent, "a", input: .encoded(Array("{broken".utf8))) { _ in }
        #expect(try recorder.output.events[0].data?.value == "{broken")
    }
}
