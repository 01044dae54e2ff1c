import AgentKit
import AgentKitService
import Logging
import ServiceLifecycle
import UnixSignals

/// The Swift code of README and docs: here it is built. `SnippetTests` sees to it that it is the same; nobody runs it.
enum Snippets {
    struct Weather: Sendable {
        func weather(_ arguments: JSON) async throws -> JSON { arguments }
    }

    struct Provider: Sendable {
        func post(_ request: ModelRequest) async throws -> JSON { request.content }
    }

    static func publishARun() async throws {
        let publisher = try SkeinPublisher(PublisherConfiguration(urls: ["nats://127.0.0.1:4222"]))
        let publishing = Task { try await publisher.run() }
        let runtime = AgentRuntime(output: publisher)
        try await runtime.withScope(.agent, "planner", input: ["question": "Is it raining?"]) { scope in
            let weather = try await scope.callTool("weather", ["city": "Rome"]) { arguments in ["rain": false] }
            scope.mark("decided", data: ["umbrella": weather["rain"] ?? true])
        }
        publisher.shutdown()
        try await publishing.value
    }

    static func subscribe() async throws {
        let skein = try await SkeinSubscriber.connect(SubscriberConfiguration(urls: ["nats://127.0.0.1:4222"]))
        let trajectories = try await skein.trajectories(tenant: "acme", agent: "planner", from: .durable("dashboard"))
        for try await delivery in trajectories {
            print(delivery.value.id, delivery.value.revision, String(decoding: delivery.value.json, as: UTF8.self))
            try await delivery.acknowledge()
        }
    }

    static func publish(event: [UInt8], run: EventUUID) async throws {
        var configuration = PublisherConfiguration(urls: ["nats://127.0.0.1:4222"])
        configuration.tenant = "acme"
        configuration.spool = .init(directory: "/var/spool/my-agent")
        let publisher = try SkeinPublisher(configuration)
        let running = Task { try await publisher.run() }

        publisher.append(event, key: run)
        let isStored = await publisher.flush(timeout: .seconds(5))
        print(isStored)

        publisher.shutdown()
        try await running.value
    }

    static func serve(publisher: SkeinPublisher, agent: any Service, logger: Logger) async throws {
        let group = ServiceGroup(
            services: [PublishingService(publisher), agent], gracefulShutdownSignals: [.sigterm], logger: logger)
        try await group.run()
    }

    static func agent(
        publisher: SkeinPublisher, service: Weather, http: Provider, prompt: @Sendable (JSON) -> ModelRequest
    ) async throws {
        let runtime = AgentRuntime(output: publisher)
        AgentRuntime.bootstrap(runtime)

        try await withScope(.agent, "planner", input: ["question": "weather in Rome"]) { scope in
            let weather = try await callTool("weather", ["city": "Rome"], id: "call-1") { arguments in
                mark("weather.asked", severity: .info)
                return try await service.weather(arguments)
            }
            let answer = try await callModel("openai", prompt(weather), model: "gpt-4o-mini", codec: .openAIChat) {
                request in
                try await http.post(request)
            }
            scope.setOutput(answer)
        }
    }

    static func compress(
        runtime: AgentRuntime, compressed: @escaping @Sendable (ModelRequest) -> (ModelRequest, Int)
    ) throws {
        try runtime.register(
            .modelExecutionIntercept("compress") { _, request, next in
                let (short, saved) = compressed(request)
                recordOptimization([
                    "producer": "compress", "kind": "input_compression", "applied": true,
                    "token_impact": ["saved": ["prompt_tokens": JSON(saved)], "quality": "estimated"],
                ])
                return try await next(short)
            })
    }
}
