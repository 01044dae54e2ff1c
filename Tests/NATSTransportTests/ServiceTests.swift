import Foundation
import NATSTestCluster
import Synchronization
import Testing

@testable import NATSTransport

@Suite("Service machine")
struct ServiceMachineTests {
    private static let description = ServiceDescription(
        name: "guard", id: "one", version: "1.2.3", text: "answers", metadata: ["camelCase": "kept"],
        endpoints: [
            .init(name: "tool", subject: "guard.*.tool", queue: "q"),
            .init(name: "llm", subject: "guard.*.llm", queue: "q"),
        ])

    private static func machine(limit: Int = 2) -> ServiceMachine {
        ServiceMachine(description, started: "2026-01-02T03:04:05.678Z", limit: limit)
    }

    private static func answer(_ machine: ServiceMachine, _ subject: String) throws -> [String: Any]? {
        guard let bytes = try machine.answer(to: subject) else { return nil }
        return try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
    }

    @Test(
        "answers discovery of all, of its name and of its id",
        arguments: ["PING", "INFO", "STATS"], ["", ".guard", ".guard.one"])
    func addressed(verb: String, suffix: String) throws {
        let answer = try #require(try Self.answer(Self.machine(), "$SRV.\(verb)\(suffix)"))
        #expect(answer["type"] as? String == "io.nats.micro.v1.\(verb.lowercased())_response")
        #expect(answer["name"] as? String == "guard")
        #expect(answer["id"] as? String == "one")
        #expect(answer["version"] as? String == "1.2.3")
        #expect(answer["metadata"] as? [String: String] == ["camelCase": "kept"])
    }

    @Test(
        "leaves to others what is theirs",
        arguments: [
            "$SRV.PING.other", "$SRV.PING.guard.two", "$SRV.PING.guard.one.more", "$SRV.SCHEMA", "$SRV", "$SRV.",
            "X.PING",
        ])
    func others(subject: String) throws {
        #expect(try Self.answer(Self.machine(), subject) == nil)
    }

    @Test("tells its endpoints with their subjects and queues")
    func info() throws {
        let info = try #require(try Self.answer(Self.machine(), "$SRV.INFO"))
        #expect(info["description"] as? String == "answers")
        let endpoints = try #require(info["endpoints"] as? [[String: Any]])
        #expect(endpoints.map { $0["name"] as? String } == ["tool", "llm"])
        #expect(endpoints[0]["subject"] as? String == "guard.*.tool")
        #expect(endpoints[0]["queue_group"] as? String == "q")
    }

    @Test("counts requests, errors and time, and turns away what is too much")
    func stats() throws {
        var machine = Self.machine()
        #expect(machine.requestArrived(at: 0) == nil)
        #expect(machine.requestArrived(at: 1) == nil)
        #expect(machine.requestArrived(at: 0)?.code == 429)
        machine.requestEnded(at: 0, nanoseconds: 3_000, failure: nil)
        #expect(machine.requestArrived(at: 0) == nil)
        machine.requestEnded(at: 0, nanoseconds: 1_000, failure: ServiceFailure(code: 500, description: "broken"))
        #expect(machine.inFlight == 1)
        let stats = try #require(try Self.answer(machine, "$SRV.STATS"))
        #expect(stats["started"] as? String == "2026-01-02T03:04:05.678Z")
        let tool = try #require((stats["endpoints"] as? [[String: Any]])?.first)
        #expect(tool["num_requests"] as? Int == 3)
        #expect(tool["num_errors"] as? Int == 2)
        #expect(tool["last_error"] as? String == "broken")
        #expect(tool["processing_time"] as? Int == 4_000)
        #expect(tool["average_processing_time"] as? Int == 1_333)
        #expect(tool["queue_group"] as? String == "q")
        // nats-py reads no statistics without it.
        #expect(tool["data"] != nil)
    }

    @Test("is drained when its endpoints have ended and nothing is under way; closed, it turns away what still comes")
    func draining() {
        var machine = Self.machine()
        #expect(machine.requestArrived(at: 0) == nil)
        machine.endpointEnded()
        // What the server had sent already is worked on.
        #expect(machine.requestArrived(at: 1) == nil)
        machine.endpointEnded()
        machine.requestEnded(at: 0, nanoseconds: 1, failure: nil)
        #expect(!machine.isDrained)
        machine.requestEnded(at: 1, nanoseconds: 1, failure: nil)
        #expect(machine.isDrained)
        machine.close()
        #expect(machine.requestArrived(at: 0)?.code == 503)
    }
}

@Suite("Service", .timeLimit(.minutes(1)))
struct ServiceTests {
    private static func description(_ id: String) -> ServiceDescription {
        ServiceDescription(
            name: "echo", id: id, version: "0.1.0", text: "answers with its id",
            endpoints: [.init(name: "say", subject: "echo.*", queue: "echoes")])
    }

    /// Runs services around the body.
    private static func with(_ services: [NATSService], _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in services { group.addTask { try await service.run() } }
            defer { group.cancelAll() }
            try await body()
            for service in services { await service.drain(within: .seconds(5)) }
            try await group.waitForAll()
        }
    }

    /// Waits until somebody answers discovery.
    private static func discovered(_ connection: NATSConnection, _ id: String) async throws {
        try await bounded {
            while true {
                let reply = try? await connection.request(
                    subject: "$SRV.PING.echo.\(id)", payload: [], timeout: .milliseconds(200))
                if reply != nil { return }
                await Task.yield()
            }
        }
    }

    @Test("requests are shared by the members of a queue, and each is answered once")
    func shared() async throws {
        try await NATSTestServer.connected { _, jetStream in
            let connection = jetStream.connection
            let services = ["a", "b"].map { id in
                NATSService(connection, Self.description(id), limit: 100) { request in
                    ServiceAnswer(headers: ["X-Of": request.message.subject], payload: Array(id.utf8))
                }
            }
            try await Self.with(services) {
                for id in ["a", "b"] { try await Self.discovered(connection, id) }
                var counts: [String: Int] = [:]
                for number in 0..<100 {
                    let reply = try await connection.request(
                        subject: "echo.\(number)", payload: [], timeout: .seconds(5))
                    #expect(reply.headers["X-Of"] == "echo.\(number)")
                    counts[String(decoding: reply.payload, as: UTF8.self), default: 0] += 1
                }
                #expect(counts.values.reduce(0, +) == 100)
                #expect(counts.count == 2)
            }
        }
    }

    @Test("more than may be under way is refused at once with an error; draining finishes what is under way")
    func limit() async throws {
        try await NATSTestServer.connected { _, jetStream in
            let connection = jetStream.connection
            let (gate, opener) = AsyncStream.makeStream(of: Void.self)
            let service = NATSService(connection, Self.description("a"), limit: 2) { _ in
                for await _ in gate {}
                return ServiceAnswer(payload: Array("late".utf8))
            }
            try await Self.with([service]) {
                try await Self.discovered(connection, "a")
                async let first = connection.request(subject: "echo.1", payload: [], timeout: .seconds(60))
                async let second = connection.request(subject: "echo.2", payload: [], timeout: .seconds(60))
                try await bounded { while service.inFlight < 2 { await Task.yield() } }
                let refused = try await connection.request(subject: "echo.3", payload: [], timeout: .seconds(60))
                #expect(refused.headers["Nats-Service-Error-Code"] == "429")
                #expect(refused.headers["Nats-Service-Error"]?.contains("2 requests") == true)
                async let drained: Void = service.drain(within: .seconds(5))
                opener.finish()
                await drained
                #expect(try await String(decoding: first.payload, as: UTF8.self) == "late")
                #expect(try await String(decoding: second.payload, as: UTF8.self) == "late")
                #expect(service.inFlight == 0)
            }
        }
    }

    @Test("members that come and go under load leave no request without its answer")
    func handover() async throws {
        try await NATSTestServer.connected { _, jetStream in
            let connection = jetStream.connection
            func service(_ id: String) -> NATSService {
                NATSService(connection, Self.description(id), limit: 1000) {
                    ServiceAnswer(payload: $0.message.payload)
                }
            }
            try await Self.with([service("stays")]) {
                try await Self.discovered(connection, "stays")
                for round in 0..<10 {
                    let leaving = service("goes-\(round)")
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { try await leaving.run() }
                        try await Self.discovered(connection, "goes-\(round)")
                        for number in 0..<200 as Range<UInt8> {
                            group.addTask {
                                let reply = try await connection.request(
                                    subject: "echo.\(number)", payload: [number], timeout: .seconds(5))
                                #expect(reply.payload == [number])
                            }
                        }
                        await leaving.drain(within: .seconds(5))
                        try await group.waitForAll()
                    }
                }
            }
        }
    }

    @Test("an answer that is larger than the server takes becomes an error")
    func tooLarge() async throws {
        try await NATSTestServer.connected(maxPayload: 4096) { _, jetStream in
            let connection = jetStream.connection
            let service = NATSService(connection, Self.description("a"), limit: 2) { _ in
                ServiceAnswer(payload: [UInt8](repeating: 0, count: 5000))
            }
            try await Self.with([service]) {
                try await Self.discovered(connection, "a")
                let reply = try await connection.request(subject: "echo.1", payload: [], timeout: .seconds(5))
                #expect(reply.headers["Nats-Service-Error-Code"] == "500")
                #expect(reply.headers["Nats-Service-Error"]?.contains("max_payload") == true)
            }
        }
    }
}
