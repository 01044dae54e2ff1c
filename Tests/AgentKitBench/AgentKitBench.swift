// What AgentKit costs on the caller's path: CPU microseconds for each event, without publishing. Run it in a release build:
//
//     swift run -c release agentkit-bench
import AgentKit

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Takes events and forgets them: what a publisher does with them is not measured here.
struct Discarded: EventOutput {
    func append(_ event: [UInt8], key: EventUUID) {}
}

func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The best of five runs, so that what else the machine does counts little.
func measure(_ name: String, events: Int, _ body: () async throws -> Void) async rethrows {
    var best = Double.infinity
    for _ in 0..<5 {
        let start = processorTime()
        try await body()
        best = min(best, processorTime() - start)
    }
    let micros = best / Double(events) * 1e6
    print("\(name): \((micros * 1000).rounded() / 1000) us of CPU per event, \(Int(1e6 / micros)) events/s per core")
}

/// Makes a closure one that may wait.
func nothing() async {}

@main
enum AgentKitBench {
    static func main() async throws {
        let runtime = AgentRuntime(output: Discarded())
        let rounds = 50_000
        let text = Array(
            #"{"messages":[{"role":"user","content":"how is the weather in Rome?"}],"model":"gpt-4o-mini"}"#.utf8)

        await runtime.withScope(.agent, "bench") { scope in
            await measure("scope, no payload", events: rounds * 2) {
                for _ in 0..<rounds { await scope.withScope(.function, "step") { _ in await nothing() } }
            }
            await measure("scope, encoded payloads", events: rounds * 2) {
                for _ in 0..<rounds {
                    scope.withScope(.function, "step", input: .encoded(text)) { $0.setOutput(.encoded(text)) }
                }
            }
            await measure("scope, values and metadata", events: rounds * 2) {
                for index in 0..<rounds {
                    scope.withScope(
                        .function, "step", input: ["query": "weather", "page": JSON(index)],
                        metadata: ["session_id": "s-1"]
                    ) { $0.setOutput(["found": 3]) }
                }
            }
            await measure("mark", events: rounds) {
                for index in 0..<rounds { scope.mark("progress", data: ["step": JSON(index)]) }
            }
        }
        try await runtime.withScope(.agent, "bench") { scope in
            try await measure("managed tool call", events: rounds * 2) {
                for _ in 0..<rounds {
                    try await scope.callTool("search", .encoded(text), id: "c1") { _ in .encoded(text) }
                }
            }
            try await measure("managed model call, no codec", events: rounds * 2) {
                for _ in 0..<rounds {
                    try await scope.callModel("openai", ModelRequest(content: .encoded(text))) { _ in .encoded(text) }
                }
            }
            try await measure("managed model call, codec", events: rounds / 5) {
                for _ in 0..<(rounds / 10) {
                    try await scope.callModel("openai", ModelRequest(content: .encoded(text)), codec: .openAIChat) {
                        _ in
                        .encoded(text)
                    }
                }
            }
        }
    }
}
