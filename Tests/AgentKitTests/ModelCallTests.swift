import ATOF
import AgentKit
import Synchronization
import Testing

@Suite("Managed model calls")
struct ModelCallTests {
    let recorder = Recorder()
    var runtime: AgentRuntime { recorder.runtime }
    let request = ModelRequest(
        headers: ["Authorization": "Bearer s3cret", "X-Trace": "t", "TraceParent": "old"],
        content: ["model": "m", "messages": [["role": "user", "content": "hi"]]])

    @Test("the provider gets credentials, session and traceparent; events have no credentials and no new traceparent")
    func headers() async throws {
        try await runtime.withScope(.agent, "outer", metadata: ["session_id": "s-1"]) { _ in
            try await runtime.withScope(.agent, "inner") { scope in
                try await scope.callModel("openai", request) { live in
                    let headers = try #require(live.headers.objectValue)
                    #expect(headers["Authorization"] == "Bearer s3cret")
                    #expect(headers["x-dynamo-session-id"] == "inner")
                    #expect(headers["x-dynamo-parent-session-id"] == "s-1")
                    #expect(headers["TraceParent"] == nil)
                    let root = try #require(try recorder.event(.scopeStart, "outer")?.uuid)
                    let trace = "\(root)".split(separator: "-").joined()
                    #expect(headers["traceparent"]?.stringValue?.hasPrefix("00-\(trace)-") == true)
                    return ["ok": true]
                }
            }
        }
        let start = try #require(try recorder.event(.scopeStart, "openai"))
        #expect(
            start.data?.value["headers"] == [
                "X-Trace": "t", "TraceParent": "old", "x-dynamo-session-id": "inner",
                "x-dynamo-parent-session-id": "s-1",
            ])
        #expect(start.categoryProfile?.value == .object(JSONObject()))
    }

    @Test("content that is encoded already is published byte for byte")
    func encoded() async throws {
        let content = JSON.encoded(Array(#"{"z":1,  "a":2}"#.utf8))
        try await runtime.currentScope.callModel("openai", ModelRequest(content: content)) { _ in
            JSON.encoded(Array(#"{"b": [ ]}"#.utf8))
        }
        let start = try #require(try recorder.event(.scopeStart, "openai"))
        let end = try #require(try recorder.event(.scopeEnd, "openai"))
        #expect(
            start.data?.withBytes { String(decoding: $0, as: UTF8.self) }
                == #"{"content":{"z":1,  "a":2},"headers":{}}"#)
        #expect(end.data?.withBytes { String(decoding: $0, as: UTF8.self) } == #"{"b": [ ]}"#)
    }

    @Test("an intercept that breaks the contract of an active codec fails the call, and nothing of it is published")
    func contract() async throws {
        try runtime.register(
            .modelRequestIntercept("edits", priority: 1) { _, request, annotation in
                var request = request
                request.content["model"] = "other"
                return ModelRequestOutcome(request, annotation: annotation, marks: [PendingMark("lost")])
            })
        try runtime.register(
            .modelRequestIntercept("later", priority: 2) { _, request, annotation in
                Issue.record("must not see it")
                return ModelRequestOutcome(request, annotation: annotation)
            })
        await #expect {
            try await runtime.currentScope.callModel("openai", request, codec: .openAIChat) { _ in 1 }
        } throws: { error in
            "\(error)".hasPrefix("invalid argument: ")
                && "\(error)".hasSuffix(
                    "changed request.content while a request codec is active; modify annotated_request instead")
        }
        #expect(recorder.output.count == 0)
        runtime.remove(.modelRequestIntercept, "edits")
        runtime.remove(.modelRequestIntercept, "later")
        try runtime.register(.modelRequestIntercept("omits") { _, request, _ in ModelRequestOutcome(request) })
        await #expect {
            try await runtime.currentScope.callModel("openai", request, codec: .openAIChat) { _ in 1 }
        } throws: { "\($0)".hasSuffix("omitted annotated_request while a request codec is active") }
        // What the codec cannot read does not begin either.
        await #expect(throws: AgentKitError.self) {
            try await runtime.currentScope.callModel("openai", ModelRequest(content: [1]), codec: .openAIChat) { _ in 1
            }
        }
        #expect(recorder.output.count == 0)
    }

    @Test("request marks are told although the provider fails later")
    func providerFails() async throws {
        try runtime.register(.modelGuardrail("ok") { _ in .allow })
        try runtime.register(
            .modelRequestIntercept("marks") { _, request, annotation in
                ModelRequestOutcome(request, annotation: annotation, marks: [PendingMark("routed")])
            })
        await #expect(throws: AgentKitError(.timeout, "no answer in 30 s")) {
            try await runtime.currentScope.callModel("openai", request) { _ in
                throw AgentKitError(.timeout, "no answer in 30 s")
            }
        }
        #expect(
            try recorder.outline == [
                "start guardrail ok", "end guardrail ok", "start llm openai", "mark routed", "end llm openai",
            ])
        #expect(try recorder.event(.scopeStart, "ok")?.data?.value == ["kind": "llm_conditional_execution"])
        let (start, mark) = (try recorder.output.events[2], try recorder.output.events[3])
        #expect(mark.parentUUID == start.uuid)
        #expect(mark.timestamp.epochNanoseconds == start.timestamp.epochNanoseconds.map { $0 + 1000 })
        #expect(
            try recorder.event(.scopeEnd, "openai")?.metadata?.value == [
                "otel.status_code": "ERROR", "otel.status_description": "no answer in 30 s", "error.type": "timeout",
            ])
    }

    @Test("a model call that is rejected has a mark of its name")
    func rejected() async throws {
        try runtime.register(.modelGuardrail("deny") { _ in .reject("no") })
        await #expect(throws: AgentKitError(.guardrailRejected, "no")) {
            try await runtime.currentScope.callModel("openai", request) { _ in 1 }
        }
        #expect(try recorder.outline == ["start guardrail deny", "end guardrail deny", "mark openai"])
    }

    @Test("request sanitizers: what changes is read again, what fails is gone with its annotation")
    func requestSanitizers() async throws {
        let mode = Mutex(0)
        try runtime.register(
            .modelRequestSanitizer("s") { request in
                switch mode.withLock({ $0 }) {
                case 0:
                    var request = request
                    request.content["messages"] = [["role": "user", "content": "[REDACTED]"]]
                    return request
                case 1: return nil
                default: throw ValueError(description: "crash")
                }
            })
        for value in 0..<3 {
            mode.withLock { $0 = value }
            try await runtime.currentScope.callModel("openai", request, codec: .openAIChat) { live in
                #expect(live.content == request.content)
                return .null
            }
        }
        let starts = try recorder.output.events.filter { $0.kind == .scopeStart }
        #expect(
            starts[0].categoryProfile?.value["annotated_request"]?["messages"]
                == [["content": "[REDACTED]", "role": "user"]])
        for start in starts.dropFirst() {
            #expect(start.data == nil)
            #expect(start.categoryProfile?.value["annotated_request"] == nil)
        }
    }

    @Test("with full payloads the whole history is told every time")
    func fullHistory() async throws {
        for (isFull, count) in [(false, 1), (true, 3)] {
            var settings = AgentSettings()
            settings.publishesFullHistory = isFull
            let recorder = Recorder(settings: settings)
            let long = ModelRequest(content: [
                "model": "m",
                "messages": [
                    ["role": "user", "content": "1"], ["role": "assistant", "content": "2"],
                    ["role": "user", "content": "3"],
                ],
            ])
            try await recorder.runtime.withScope(.agent, "a") { scope in
                for _ in 0..<2 { try await scope.callModel("openai", long, codec: .openAIChat) { _ in .null } }
            }
            let starts = try recorder.output.events.filter { $0.category?.known == .llm && $0.kind == .scopeStart }
            let told = starts.map { $0.data?.value["content"]?["messages"]?.arrayValue?.count }
            #expect(told == [3, count])
        }
    }

    // MARK: Streams

    static let chunks: [JSON] = [
        [
            "object": "chat.completion.chunk", "id": "c", "model": "m",
            "choices": [["index": 0, "delta": ["content": "a"]]],
        ],
        [
            "object": "chat.completion.chunk", "id": "c",
            "choices": [["index": 0, "delta": ["content": "b"], "finish_reason": "stop"]],
            "usage": ["prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3],
        ],
        ["object": "chat.completion.chunk", "id": "c", "choices": []],
    ]

    /// The end of a streamed call of which so many chunks are read.
    private func end(reading count: Int?, of chunks: ModelChunks) async throws -> Event {
        await #expect(throws: Never.self) {
            let stream = try await runtime.currentScope.streamModel("openai", request, codec: .openAIChat) { _ in chunks
            }
            var read = 0
            if count == 0 { return }
            for try await _ in stream {
                read += 1
                if read == count { break }
            }
        }
        let ends = try recorder.output.events.filter { $0.kind == .scopeEnd }
        #expect(ends.count == 1)
        return try #require(ends.first)
    }

    @Test("a stream that is read to its end is put together by its codec")
    func wholeStream() async throws {
        let end = try await end(reading: nil, of: ModelChunks(Self.chunks))
        #expect(end.metadata?.value == ["otel.status_code": "OK"])
        #expect(end.attributes == ["streaming"])
        #expect(end.data?.value["choices"]?[0]?["message"]?["content"] == "ab")
        #expect(end.categoryProfile?.value["annotated_response"]?["message"] == "ab")
        #expect(end.categoryProfile?.value["time_to_first_chunk"] != nil)
        #expect(try recorder.output.events.filter { $0.name == "llm.chunk" }.count == 3)
    }

    @Test("a consumer that stops early fails the call, unless all that counts had come", arguments: [0, 1, 2])
    func droppedStream(count: Int) async throws {
        let end = try await end(reading: count, of: ModelChunks(Self.chunks))
        if count == 2 {
            #expect(end.metadata?.value == ["otel.status_code": "OK"])
        } else {
            #expect(
                end.metadata?.value == [
                    "otel.status_code": "ERROR",
                    "otel.status_description": "stream dropped before clean completion",
                ])
        }
    }

    @Test("a stream that fails gives its error to the consumer and to the end")
    func failedStream() async throws {
        let stream = AsyncThrowingStream<JSON, any Error> { continuation in
            continuation.yield(Self.chunks[0])
            continuation.finish(throwing: AgentKitError(.connectionError, "reset"))
        }
        let chunks = try await runtime.currentScope.streamModel("openai", request, codec: .openAIChat) { _ in
            ModelChunks(stream)
        }
        await #expect(throws: AgentKitError(.connectionError, "reset")) { for try await _ in chunks {} }
        let end = try #require(try recorder.event(.scopeEnd, "openai"))
        #expect(end.metadata?.value["error.type"] == "connection_error")
        #expect(end.data?.value["choices"]?[0]?["message"]?["content"] == "a")
    }

    @Test("a stream that cannot be opened is an ordinary failure")
    func unopenedStream() async throws {
        await #expect(throws: AgentKitError(.authentication, "key")) {
            _ = try await runtime.currentScope.streamModel("openai", request) { _ in
                throw AgentKitError(.authentication, "key")
            }
        }
        #expect(try recorder.outline == ["start llm openai", "end llm openai"])
    }

    @Test("a task that is cancelled while it reads ends the call")
    func cancelledStream() async throws {
        let (source, continuation) = AsyncThrowingStream<JSON, any Error>.makeStream()
        continuation.yield(Self.chunks[0])
        let scope = runtime.currentScope
        let (started, start) = AsyncStream<Void>.makeStream()
        let task = Task {
            let stream = try await scope.streamModel("openai", request, codec: .openAIChat) { _ in ModelChunks(source) }
            for try await _ in stream { start.yield() }
        }
        for await _ in started { break }
        task.cancel()
        _ = await task.result
        let end = try #require(try recorder.event(.scopeEnd, "openai"))
        #expect(end.metadata?.value["otel.status_code"] == "ERROR")
    }

    @Test(
        "a task that is cancelled while it reads has dropped the stream, whatever the source throws then",
        arguments: [false, true])
    func cancelledSource(throwsItsOwn: Bool) async throws {
        let scope = runtime.currentScope
        let (started, start) = AsyncStream<Void>.makeStream()
        let task = Task {
            let stream = try await scope.streamModel("openai", request, codec: .openAIChat) { _ in
                ModelChunks(
                    AsyncThrowingStream<JSON, any Error> {
                        start.yield()
                        do {
                            try await Task.sleep(for: .seconds(3600))
                        } catch {
                            throw throwsItsOwn ? AgentKitError(.connectionError, "request cancelled") : error
                        }
                        return nil
                    })
            }
            for try await _ in stream {}
        }
        for await _ in started { break }
        task.cancel()
        _ = await task.result
        let end = try #require(try recorder.event(.scopeEnd, "openai"))
        #expect(
            end.metadata?.value == [
                "otel.status_code": "ERROR", "otel.status_description": "stream dropped before clean completion",
            ])
    }

    @Test(
        "who closes a stream while a chunk is being published, or while its value is made, waits for nobody; the end is last"
    )
    func closedInBetween() async throws {
        let kept = Mutex<ModelStream?>(nil)
        try runtime.register(
            .subscriber("closes") { event in if event.name == "llm.chunk" { kept.withLock { $0 }?.close() } })
        let stream = try await runtime.currentScope.streamModel(
            "openai", request,
            finalize: { chunks in
                kept.withLock { $0 }?.close()
                return JSON(chunks.count)
            }
        ) { _ in ModelChunks(Self.chunks) }
        kept.withLock { $0 = stream }
        var read = 0
        for try await _ in stream { read += 1 }
        #expect(read == 1)
        #expect(try recorder.outline == ["start llm openai", "mark llm.chunk", "end llm openai"])
        #expect(try recorder.event(.scopeEnd, "openai")?.data?.value == 1)
        kept.withLock { $0 = nil }
    }

    @Test("a Responses stream without its last event ends with an error")
    func missingEnd() async throws {
        let chunk: JSON = ["type": "response.created", "response": ["id": "r", "output": []]]
        let stream = try await runtime.currentScope.streamModel(
            "openai", ModelRequest(content: ["model": "m", "input": "hi"]), codec: .openAIResponses
        ) { _ in ModelChunks([chunk]) }
        await #expect(throws: AgentKitError.self) { for try await _ in stream {} }
        #expect(try recorder.event(.scopeEnd, "openai")?.metadata?.value["error.type"] == "upstream_error")
    }

    @Test("a stream intercept may wrap the stream, and its next works until that has ended")
    func streamIntercept() async throws {
        let kept = Mutex<ModelStreamNext?>(nil)
        try runtime.register(
            .modelStreamIntercept("wrap") { _, request, next in
                kept.withLock { $0 = next }
                return try await next(request)
            })
        let stream = try await runtime.currentScope.streamModel("openai", request, codec: .openAIChat) { _ in
            ModelChunks(Self.chunks)
        }
        let next = try #require(kept.withLock { $0 })
        _ = try await next(request)
        for try await _ in stream {}
        await #expect(throws: AgentKitError(.invalidArgument, "execution continuation is no longer active")) {
            _ = try await next(request)
        }
    }
}
