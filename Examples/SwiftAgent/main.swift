// An agent written with AgentKit: scopes, a guarded tool, a model call and a stream. docs/agentkit.md goes through it.
import AgentKit

/// Where events go. A real agent hands them to the publisher; this one only counts.
struct Counted: EventOutput {
    func append(_ event: [UInt8], key: EventUUID) { print("  \(event.count) bytes for run \(key)") }
}

let runtime = AgentRuntime(output: Counted())
AgentRuntime.bootstrap(runtime)

// What is registered holds for everybody; scope.register(…) for one scope.
try runtime.register(
    .toolGuardrail("read_only") { tool, _ in tool.hasPrefix("delete") ? .reject("this agent only reads") : .allow })
try runtime.register(
    .toolRequestSanitizer("hide_keys") { _, arguments in
        var arguments = arguments
        if arguments["api_key"] != nil { arguments["api_key"] = "***" }
        return arguments
    })
try runtime.register(.subscriber("console") { print($0.kind, $0.category ?? "-", $0.name) })

/// Stands for the provider.
@Sendable func provider(_ request: ModelRequest) async throws -> JSON {
    [
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini",
        "choices": [["index": 0, "finish_reason": "stop", "message": ["role": "assistant", "content": "Sunny."]]],
        "usage": ["prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14],
    ]
}

// A request that came in with headers goes on below its caller's scope.
let caller = try PropagationContext(headers: [
    (name: "traceparent", value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
])

try await runtime.withContext(caller!) { _ in
    try await withScope(.agent, "planner", input: ["question": "weather in Rome"]) { scope in
        // Child tasks inherit the scope.
        async let weather = callTool("weather", ["city": "Rome", "api_key": "k-1"], id: "call-1") { arguments in
            mark("weather.asked", severity: .info, data: ["city": arguments["city"] ?? .null])
            return ["sky": "clear"]
        }
        print("weather:", try await weather)

        do {
            try await callTool("delete_file", ["path": "/"]) { _ in "gone" }
        } catch let error as AgentKitError {
            print(error)
        }

        let request = ModelRequest(
            headers: ["authorization": "Bearer never-published"],
            content: ["model": "gpt-4o-mini", "messages": [["role": "user", "content": "Say it in a word."]]])
        let answer = try await callModel("openai", request, model: "gpt-4o-mini", codec: .openAIChat) { request in
            try await provider(request)
        }
        scope.setOutput(answer["choices"]?[0]?["message"]?["content"] ?? .null)

        let stream = try await streamModel("openai", request, codec: .openAIChat) { _ in
            ModelChunks([
                ["object": "chat.completion.chunk", "choices": [["index": 0, "delta": ["content": "Sun"]]]],
                ["object": "chat.completion.chunk", "choices": [["index": 0, "delta": ["content": "ny."]]]],
            ])
        }
        for try await chunk in stream { print("chunk:", chunk["choices"]?[0]?["delta"]?["content"] ?? .null) }
        try metrics("usage", [MetricMeasurement(.counter, "agent.answers", .unsigned(1))])
    }
}
