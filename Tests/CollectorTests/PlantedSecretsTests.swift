import ATOF
import Collector
import Foundation
import HTTPTestServer
import NATSTransport
import Stages
import Testing

/// Issue: no output behind `process` may hold what the policy covers.
@Suite("Planted secrets", .timeLimit(.minutes(6)))
struct PlantedSecretsTests {
    /// All detectors, and a pattern, on all surfaces; every output that there is.
    private static func text(_ url: String, _ directory: String) -> String {
        let detectors = [
            "email", "url", "jwt", "bearer_token", "azure_storage_account_key", "aws_secret_access_key",
            "aws_access_key_id", "gcp_api_key", "api_key", "uuid", "ipv6", "ip_address", "credit_card", "phone",
        ]
        let profiles = detectors.map { "detector = \"\($0)\"" } + ["pattern = 'PATIENT-\\d{10}'"]
        return """
            [[components]]
            kind = "pii_redaction"
            [components.config]
            \(profiles.map { "[[components.config.profiles]]\n[components.config.profiles.builtin]\naction = \"redact\"\n\($0)" }
                .joined(separator: "\n"))
            [[components]]
            kind = "guardrails"
            [[components.config.rules]]
            name = "content"
            priority = 10
            content = { detectors = [\(detectors.map { "\"\($0)\"" }.joined(separator: ", "))], patterns = ['PATIENT-\\d{10}'] }
            actions = ["alert"]
            [[components.config.rules]]
            name = "asked"
            tools = { deny = ["forbidden"] }
            actions = ["reject", "alert"]
            [[components.config.rules]]
            name = "calls"
            budget = { measure = "calls", limit = 1 }
            actions = ["alert", "verdict"]
            [[components.config.rules]]
            name = "by-agent"
            budget = { measure = "calls", limit = 1, per = "agent", window_seconds = 3600 }
            actions = ["alert"]
            [[components.config.rules]]
            name = "loop"
            loop = { repeats = 2, call = "llm" }
            actions = ["alert", "verdict"]
            [[components]]
            kind = "observability"
            [components.config]
            version = 4
            [components.config.atif]
            enabled = true
            output_directory = "\(directory)"
            [components.config.opentelemetry]
            enabled = true
            [[components.config.opentelemetry.traces]]
            name = "full"
            type = "full"
            endpoint = "\(url)/full"
            [[components.config.opentelemetry.traces]]
            name = "gen-ai"
            type = "gen_ai"
            endpoint = "\(url)/gen-ai"
            [[components.config.opentelemetry.traces]]
            name = "openinference"
            type = "openinference"
            endpoint = "\(url)/openinference"
            [[components.config.opentelemetry.traces]]
            name = "refuses"
            type = "full"
            endpoint = "\(url)/refuses"
            [components.config.opentelemetry.logs]
            enabled = true
            [[components.config.opentelemetry.logs.endpoints]]
            endpoint = "\(url)"
            [components.config.opentelemetry.metrics]
            enabled = true
            [[components.config.opentelemetry.metrics.endpoints]]
            endpoint = "\(url)"
            """
    }

    /// One output: its name, and all its bytes.
    private struct Output {
        let name: String
        let bytes: Data
    }

    @Test("are published, and in nothing behind process")
    func none() async throws {
        let secrets = PlantedSecrets(count: 2000, seed: 5)
        let payloads = try stride(from: 0, to: secrets.lines.count, by: 20).map { start in
            try packed(secrets.lines[start..<min(start + 20, secrets.lines.count)])
        }
        let backend = HTTPTestServer { .init($0.path == "/refuses" ? 400 : 200) }
        defer { backend.stop() }
        // Large events come in parts, and a secret may lie on the cut.
        try await Rig.with(maxPayload: 64 << 10) { rig in
            var configuration = try ConfigurationReader.read(
                text: Self.text(backend.url, rig.directory + "/files"), name: "test", environment: [:]
            ).0
            let quick = try rig.configuration()
            configuration.nats = quick.nats
            configuration.streams = quick.streams
            configuration.checkpointInterval = quick.checkpointInterval
            configuration.stopTimeout = quick.stopTimeout
            configuration.tickInterval = quick.tickInterval
            configuration.runs = quick.runs
            configuration.admin = quick.admin
            configuration.runs.maximumHeldBytes = 64 << 20
            let log = LogLines()
            var metrics = ""
            try await rig.collecting(configuration, log: log) { collector in
                try await rig.publish(
                    payloads.map {
                        OutgoingMessage(
                            subject: SkeinSubjects.events(tenant: "acme", key: PlantedSecrets.root.description),
                            payload: $0)
                    })
                // Some 20 s alone; all cores are busy while other suites run.
                try await rig.catchUp(collector, seconds: 240)
                try await ask(secrets.agents, rig)
                metrics = collector.metrics.prometheusText()
            }
            let search = SecretSearch(secrets.planted)
            // The test can fail: what is searched for was published. (Escaped letters are not found as they are.)
            let found = Set(search.found(in: Self.joined(payloads)).map(\.secret))
            let missing = secrets.planted.filter {
                !["escaped", PlantedSecrets.asking].contains($0.place) && !found.contains($0.secret)
            }
            #expect(missing.isEmpty, "was not even published: \(missing.first?.description ?? "")")

            var outputs = [
                Output(name: "log", bytes: Data(log.all.joined(separator: "\n").utf8)),
                Output(name: "metrics", bytes: Data(metrics.utf8)),
            ]
            for stream in [
                SkeinSubjects.processedStream, SkeinSubjects.trajectoriesStream, SkeinSubjects.deadStream,
                SkeinSubjects.alertsStream,
            ] {
                let messages = try await rig.contents(of: stream)
                outputs.append(Output(name: stream, bytes: Self.joined(messages.map(\.payload))))
                let headers = messages.map { "\($0.subject) \($0.headers)" }.joined(separator: "\n")
                outputs.append(Output(name: "\(stream) headers", bytes: Data(headers.utf8)))
            }
            for (path, requests) in Dictionary(grouping: backend.requests, by: \.path) {
                outputs.append(Output(name: path, bytes: Self.joined(requests.map(\.plainBody))))
            }
            let files = try FileManager.default.subpathsOfDirectory(atPath: rig.directory + "/files")
            for file in files {
                let bytes = FileManager.default.contents(atPath: "\(rig.directory)/files/\(file)") ?? Data()
                outputs.append(Output(name: file, bytes: Data(file.utf8) + bytes))
            }
            // Each of them was written: an output that is missing proves nothing.
            let names = Set(outputs.filter { $0.bytes.count > 100 }.map(\.name))
            for name in [
                "log", "metrics", SkeinSubjects.processedStream, SkeinSubjects.trajectoriesStream,
                SkeinSubjects.deadStream, SkeinSubjects.alertsStream, "/full", "/gen-ai", "/openinference", "/refuses",
                "/v1/logs", "/v1/metrics",
            ] {
                #expect(names.contains(name), "nothing was written to \(name)")
            }
            #expect(!files.filter { $0.hasSuffix(".json") }.isEmpty)
            for output in outputs {
                let leaks = search.found(in: output.bytes)
                #expect(
                    leaks.isEmpty,
                    "\(output.name) holds \(leaks.count): \(leaks.prefix(5).map(\.description).joined(separator: "; "))"
                )
            }
        }
    }

    /// Agents ask what is denied, and somebody is told of each. Returns when all of that, and what `watch` tells, is there to be read.
    private func ask(_ agents: [String], _ rig: Rig) async throws {
        try await eventually("the guard answers") { try await rig.guardMembers().count == 1 }
        let client = GuardClient(rig.jetStream.connection)
        for agent in agents {
            let reply = try await client.ask(
                .tool("forbidden", agent: agent), tenant: "acme", timeout: .seconds(10))
            guard case .reject = reply.decision else { throw Failure("\(reply.decision)") }
        }
        for rule in ["content", "asked", "calls"] {
            try await eventually("alerts of \(rule) are told") {
                let told = try await rig.contents(
                    of: SkeinSubjects.alertsStream, matching: SkeinSubjects.alert(tenant: "acme", rule: rule))
                return told.count >= (rule == "asked" ? agents.count : 1)
            }
        }
    }

    private static func joined(_ parts: [[UInt8]]) -> Data {
        parts.reduce(into: Data()) { all, part in
            all.append(contentsOf: part)
            all.append(10)
        }
    }
}

/// Finds any of many texts in one pass: by their first eight bytes.
private struct SecretSearch {
    private var byPrefix: [UInt64: [PlantedSecrets.Planted]] = [:]
    /// Whether a prefix with these low bits exists: most places end here.
    private var filter = [Bool](repeating: false, count: 1 << 16)

    init(_ planted: [PlantedSecrets.Planted]) {
        for secret in planted {
            let prefix = Array(secret.secret.utf8.prefix(8)).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            byPrefix[prefix, default: []].append(secret)
            filter[SecretSearch.slot(prefix)] = true
        }
    }

    private static func slot(_ prefix: UInt64) -> Int { Int((prefix &* 0x9E37_79B9_7F4A_7C15) >> 48) }

    func found(in data: Data) -> [PlantedSecrets.Planted] {
        var found: [PlantedSecrets.Planted] = []
        data.withUnsafeBytes { bytes in
            filter.withUnsafeBufferPointer { filter in
                var place = 0
                while place + 8 <= bytes.count {
                    let prefix = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                    if filter[SecretSearch.slot(prefix)] {
                        for secret in byPrefix[prefix] ?? []
                        where bytes[place...].starts(with: secret.secret.utf8) { found.append(secret) }
                    }
                    place += 1
                }
            }
        }
        return found
    }
}
