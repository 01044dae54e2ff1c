import ATOF
import AgentKit
import Synchronization
import Testing

@Suite("Managed tool calls")
struct ToolCallTests {
    let recorder = Recorder()
    var runtime: AgentRuntime { recorder.runtime }

    // MARK: Outcomes

    @Test("a call that somebody else has made is published, sanitized and without a word on how it went")
    func recorded() throws {
        try runtime.register(.toolGuardrail("never asked") { _, _ in .reject("no") })
        try runtime.register(.toolRequestSanitizer("hides") { _, _ in ["hidden": true] })
        try runtime.register(.toolResponseSanitizer("out") { _, _ in "RESULT" })
        let uuid = runtime.currentScope.recordTool(
            "search", ["q": 1], result: ["hits": 2], annotation: ["a": 1], id: "c1", metadata: ["m": 1])
        #expect(try recorder.outline == ["start tool search", "end tool search"])
        let (start, end) = (try recorder.output.events[0], try recorder.output.events[1])
        #expect((start.uuid, end.uuid) == (uuid, uuid))
        #expect((start.data?.value, end.data?.value) == (["hidden": true], "RESULT"))
        #expect(start.categoryProfile?.value == ["tool_call_id": "c1"])
        #expect(end.categoryProfile?.value == ["tool_call_id": "c1", "tool_result_annotation": ["a": 1]])
        #expect(end.metadata?.value == ["m": 1])
    }

    @Test("guardrails are siblings, in their order, and the first that rejects ends it")
    func workedExample() async throws {
        try runtime.register(.toolGuardrail("deny_delete", priority: 2) { _, _ in .reject("destructive") })
        try runtime.register(.toolGuardrail("audit", priority: 1) { _, _ in .allow })
        try runtime.register(.toolGuardrail("never", priority: 3) { _, _ in .allow })
        await runtime.withScope(.agent, "A") { scope in
            await #expect(throws: AgentKitError(.guardrailRejected, "destructive")) {
                try await scope.callTool("delete_file", ["path": "/"], metadata: ["m": 1]) { _ in "done" }
            }
        }
        #expect(
            try recorder.outline == [
                "start agent A", "start guardrail audit", "end guardrail audit", "start guardrail deny_delete",
                "end guardrail deny_delete", "mark delete_file", "end agent A",
            ])
        let events = try recorder.output.events
        #expect(events[1...5].allSatisfy { $0.parentUUID == events[0].uuid })
        #expect(events[1...5].allSatisfy { $0.metadata?.value == ["m": 1] })
        #expect(events[1].data?.value == ["kind": "tool_conditional_execution", "target_name": "delete_file"])
        #expect(events[2].data?.value == ["allowed": true, "rejected": false])
        #expect(
            events[4].data?.value == ["allowed": false, "rejected": true, "rejection_reason": "destructive"])
        #expect(events[5].data?.value == ["rejected": true, "rejection_reason": "destructive"])
    }

    @Test("a guardrail that fails aborts the call without a mark")
    func guardrailFails() async throws {
        try runtime.register(.toolGuardrail("broken") { _, _ in throw ValueError(description: "no rules") })
        await #expect(throws: ValueError.self) { try await runtime.currentScope.callTool("t", [:]) { _ in 1 } }
        #expect(try recorder.outline == ["start guardrail broken", "end guardrail broken"])
        #expect(
            try recorder.event(.scopeEnd, "broken")?.data?.value
                == ["allowed": false, "error": "internal error: ValueError: no rules"])
    }

    @Test("a guardrail whose evaluation is dropped says so")
    func guardrailCancelled() async throws {
        try runtime.register(.toolGuardrail("slow") { _, _ in throw CancellationError() })
        await #expect(throws: CancellationError.self) {
            try await runtime.currentScope.callTool("t", [:]) { _ in 1 }
        }
        #expect(
            try recorder.event(.scopeEnd, "slow")?.data?.value
                == ["allowed": false, "cancelled": true, "error": "guardrail evaluation cancelled"])
    }

    @Test("a request intercept that fails leaves the guardrails' pairs only")
    func interceptFails() async throws {
        try runtime.register(.toolGuardrail("ok") { _, _ in .allow })
        try runtime.register(.toolRequestIntercept("broken") { _, _ in throw ValueError(description: "x") })
        await #expect(throws: ValueError.self) { try await runtime.currentScope.callTool("t", [:]) { _ in 1 } }
        #expect(try recorder.outline == ["start guardrail ok", "end guardrail ok"])
    }

    @Test("an execution intercept that rejects is an ordinary failure, and its marks are lost")
    func executionRejects() async throws {
        try runtime.register(
            .toolExecutionIntercept("gate") { _, _, _ in throw AgentKitError(.guardrailRejected, "late") })
        await #expect(throws: AgentKitError(.guardrailRejected, "late")) {
            try await runtime.currentScope.callTool("t", [:], data: ["handle": true], metadata: ["error.type": "mine"])
            {
                _ in 1
            }
        }
        #expect(try recorder.outline == ["start tool t", "end tool t"])
        let end = try #require(try recorder.event(.scopeEnd, "t"))
        #expect(end.data?.value == ["handle": true])
        #expect(
            end.metadata?.value == [
                "otel.status_code": "ERROR", "otel.status_description": "guardrail rejected: late",
                "error.type": "mine",
            ])
    }

    @Test("a call that is cancelled has no error type, whatever its callback throws then", arguments: [false, true])
    func cancelled(throwsItsOwn: Bool) async throws {
        let scope = runtime.currentScope
        let (started, start) = AsyncStream<Void>.makeStream()
        let task = Task {
            try await scope.callTool("t", [:]) { _ in
                start.yield()
                do {
                    try await Task.sleep(for: .seconds(3600))
                } catch {
                    throw throwsItsOwn ? AgentKitError(.connectionError, "request cancelled") : error
                }
                return 1
            }
        }
        for await _ in started { break }
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        #expect(
            try recorder.event(.scopeEnd, "t")?.metadata?.value
                == ["otel.status_code": "ERROR", "otel.status_description": "tool execution cancelled"])
    }

    @Test("a result of nothing is published as the handle's data")
    func nullResult() async throws {
        let result = try await runtime.currentScope.callTool("t", [:], data: "handle") { _ -> JSON in .null }
        #expect(result == .null)
        #expect(try recorder.event(.scopeEnd, "t")?.data?.value == "handle")
    }

    @Test("attributes are sorted, each once")
    func attributes() async throws {
        try await runtime.withScope(.function, "f", attributes: [.relocatable, .parallel, .parallel]) { scope in
            try await scope.callTool("t", [:], attributes: [.remote, .remote]) { _ in 1 }
        }
        #expect(try recorder.event(.scopeEnd, "f")?.attributes == ["parallel", "relocatable"])
        #expect(try recorder.event(.scopeStart, "t")?.attributes == ["remote"])
    }

    // MARK: Order

    @Test(
        "by priority, then global before local, outer before inner, then by name; execution intercepts outermost first")
    func order() async throws {
        let seen = Mutex<[String]>([])
        @Sendable func note(_ name: String, _ priority: Int32) -> AgentMiddleware {
            .toolRequestIntercept(name, priority: priority) { _, arguments in
                seen.withLock { $0.append(name) }
                return arguments
            }
        }
        @Sendable func wrap(_ name: String, _ priority: Int32) -> AgentMiddleware {
            .toolExecutionIntercept(name, priority: priority) { _, arguments, next in
                seen.withLock { $0.append("+\(name)") }
                let result = try await next(arguments)
                seen.withLock { $0.append("-\(name)") }
                return ToolOutcome(result, marks: [PendingMark(name)])
            }
        }
        for entry in [note("g2", 5), note("g1", 5), note("first", -1), wrap("w-global", 1)] {
            try runtime.register(entry)
        }
        try await runtime.withScope(.agent, "outer") { outer in
            try outer.register(note("outer", 5))
            try await outer.withScope(.function, "inner") { inner in
                for entry in [note("a-inner", 5), note("zero", 0), wrap("w-inner", 1), wrap("w-first", 0)] {
                    try inner.register(entry)
                }
                try await inner.callTool("t", [:]) { _ in 1 }
            }
            seen.withLock { $0.append("|") }
            try await outer.callTool("t", [:]) { _ in 1 }
        }
        #expect(
            seen.withLock { $0 } == [
                "first", "zero", "g1", "g2", "outer", "a-inner", "+w-first", "+w-global", "+w-inner", "-w-inner",
                "-w-global", "-w-first", "|", "first", "g1", "g2", "outer", "+w-global", "-w-global",
            ])
        // The innermost marks come first.
        let marks = try recorder.output.events.filter(\.isMark).map(\.name)
        #expect(marks == ["w-inner", "w-global", "w-first", "w-global"])
    }

    @Test("an intercept that breaks the chain is the last")
    func breaksChain() async throws {
        try runtime.register(.toolRequestIntercept("a", priority: 1, breaksChain: true) { _, _ in ["from": "a"] })
        try runtime.register(.toolRequestIntercept("b", priority: 2) { _, _ in ["from": "b"] })
        try await runtime.currentScope.callTool("t", [:]) { arguments in
            #expect(arguments == ["from": "a"])
            return 1
        }
    }

    @Test("a name is taken once in each place, and free again when it is removed")
    func names() async throws {
        let entry = AgentMiddleware.toolGuardrail("one") { _, _ in .allow }
        try runtime.register(entry)
        #expect { try runtime.register(entry) } throws: { "\($0)".hasPrefix("already exists: one") }
        try runtime.register(.modelGuardrail("one") { _ in .allow })
        #expect(runtime.remove(.toolGuardrail, "one"))
        #expect(!runtime.remove(.toolGuardrail, "one"))
        try runtime.register(entry)
        let ended = try runtime.withScope(.agent, "a") { scope in
            try scope.register(entry)
            return scope
        }
        #expect { try ended.register(entry) } throws: { "\($0)".hasPrefix("not found: scope handle not found") }
    }

    // MARK: next

    @Test("next works never, once and many times, also concurrently; marks follow the order of calls")
    func nextManyTimes() async throws {
        try runtime.register(
            .toolExecutionIntercept("outer", priority: 1) { _, _, next in
                async let first = next(["i": 1])
                async let second = next(["i": 2])
                let results = try await [first.result, second.result]
                return ToolOutcome(.array(results), marks: [PendingMark("outer")])
            })
        try runtime.register(
            .toolExecutionIntercept("inner", priority: 2) { _, arguments, next in
                ToolOutcome(
                    try await next(arguments), marks: [PendingMark("inner", data: arguments["i"] ?? .null)])
            })
        let result = try await runtime.currentScope.callTool("t", [:]) { arguments in
            JSON((arguments["i"]?.intValue ?? 0) * 10)
        }
        #expect(result == [10, 20])
        #expect(try recorder.output.events.filter(\.isMark).map(\.name) == ["inner", "inner", "outer"])
    }

    @Test("pending marks follow the end, a microsecond apart; one whose severity has no place is dropped")
    func pendingMarks() async throws {
        try runtime.register(
            .toolExecutionIntercept("marks") { _, arguments, next in
                ToolOutcome(
                    try await next(arguments),
                    marks: [
                        PendingMark("one"), PendingMark("bad", metadata: [1], severity: .info),
                        PendingMark("three", severity: .info),
                    ])
            })
        try await runtime.currentScope.callTool("t", [:]) { _ in 1 }
        let events = try recorder.output.events
        #expect(events.map(\.name) == ["t", "t", "one", "three"])
        let end = try #require(events[1].timestamp.epochNanoseconds)
        #expect(events[2].timestamp.epochNanoseconds == end + 1000)
        #expect(events[3].timestamp.epochNanoseconds == end + 3000)
        #expect(events[2].parentUUID == events[0].uuid)
    }

    @Test("next no longer works when its intercept has returned")
    func lease() async throws {
        let kept = Mutex<ToolNext?>(nil)
        try runtime.register(
            .toolExecutionIntercept("keeps") { _, _, next in
                kept.withLock { $0 = next }
                return ToolOutcome("short")
            })
        try await runtime.currentScope.callTool("t", [:]) { _ in 1 }
        let next = try #require(kept.withLock { $0 })
        await #expect(throws: AgentKitError(.invalidArgument, "execution continuation is no longer active")) {
            try await next([:])
        }
    }
}
