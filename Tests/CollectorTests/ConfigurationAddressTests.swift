import Collector
import Foundation
import NATSTransport
import Testing

@Suite("Addresses, secrets and sizes of the configuration", .timeLimit(.minutes(1)))
struct ConfigurationAddressTests {
    private static func trace(_ url: String) -> String {
        "[[components]]\nkind = \"observability\"\n[components.config.opentelemetry]\nenabled = true\n"
            + "traces = [{ type = \"full\", endpoint = \"\(url)\" }]"
    }

    private static func store(_ url: String) -> String {
        "[[components]]\nkind = \"observability\"\n[components.config.atif]\nenabled = true\n"
            + "storage = [{ type = \"http\", endpoint = \"\(url)\" }]"
    }

    @Test(
        "what no request can be sent to is refused before anything runs",
        arguments: [
            trace("http://127.0.0.1:70000"), trace("http://127.0.0.1:0"), trace("http://127.0.0.1:4318/v1/my traces"),
            trace("ftp://127.0.0.1"), store("http://127.0.0.1:70000/a"), store("http://127.0.0.1/a b"),
            store("https://user:secret@example.org/a"), "[nats]\nurls = [\"nats://127.0.0.1:70000\"]",
        ])
    func addresses(toml: String) {
        do throws(ConfigurationError) {
            _ = try ConfigurationReader.read(text: toml, name: "", environment: [:])
            Issue.record("no error")
        } catch {
            #expect(error.diagnostics.map(\.code).allSatisfy { $0.hasSuffix(".unsupported_value") })
            #expect(!error.description.contains("secret"))
        }
    }

    @Test("the variable of the environment wins, and hides nothing that is wrong in the file")
    func overridden() throws {
        let (configuration, _) = try ConfigurationReader.read(
            text: "[nats]\nurls = [\"nats://a:1\"]", name: "", environment: ["SKEIN_NATS_URL": "nats://b:1"])
        #expect(configuration.nats.urls == ["nats://b:1"])
        let (plain, _) = try ConfigurationReader.read(
            text: "[nats]\nurls = [\"nats://a:1\"]", name: "", environment: ["SKEIN_NATS_URL": ""])
        #expect(plain.nats.urls == ["nats://a:1"])
        do throws(ConfigurationError) {
            _ = try ConfigurationReader.read(
                text: "[nats]\nurls = [\"http://a\"]", name: "", environment: ["SKEIN_NATS_URL": "nats://b:1"])
            Issue.record("no error")
        } catch {
            #expect(error.diagnostics.map(\.field) == ["nats.urls[0]"])
        }
    }

    @Test("what sends nothing needs no secrets")
    func secrets() throws {
        let toml = """
            [nats]
            user = "a"
            password_env = "NO_PASSWORD"
            [[components]]
            kind = "observability"
            [components.config.atif]
            enabled = true
            storage = [
                { type = "s3", bucket = "b", secret_access_key_var = "NO_SECRET" },
                { type = "http", endpoint = "http://127.0.0.1", header_env = { a = "NO_HEADER" } },
            ]
            [components.config.opentelemetry]
            enabled = true
            traces = [{ type = "full", endpoint = "http://127.0.0.1:4318", header_env = { a = "NO_TOKEN" } }]
            """
        let file = FileManager.default.temporaryDirectory.appending(path: "secrets-\(UUID()).toml").path()
        try toml.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let source = ConfigurationSource(files: [file], inherits: false, environment: [:])
        #expect(try source.read(needsSecrets: false).1.isEmpty)
        do throws(ConfigurationError) {
            _ = try source.read()
            Issue.record("no error")
        } catch {
            for name in ["NO_PASSWORD", "NO_SECRET", "NO_HEADER", "NO_TOKEN"] {
                #expect(error.description.contains(name))
            }
        }
    }

    @Test("a stream that the broker has no room for is told at once, with its key")
    func room() async throws {
        try await Rig.with { rig in
            _ = try rig.file("skein.toml", "[collector]\nprocessed_max_bytes = 1000000000000000000\n")
            let outcome = try await SkeinProcess.run(
                ["collect", "--config", "skein.toml", "--nats", rig.server.url], directory: rig.directory)
            #expect(outcome.code == 2, "\(outcome.errors)")
            #expect(outcome.errors.contains("error: collector.processed_max_bytes: "))
            #expect(outcome.errors.contains("SKEIN_PROCESSED"))
        }
    }
}
