import Collector
import Testing

@Suite("The configuration of ingest")
struct IngestConfigurationTests {
    private static func complaints(_ text: String, environment: [String: String] = [:]) -> [String] {
        do throws(ConfigurationError) {
            _ = try ConfigurationReader.read(text: text, name: "test", environment: environment)
            return []
        } catch {
            return error.diagnostics.map(\.description)
        }
    }

    @Test(
        "an address that others reach needs a token that can be used",
        arguments: [
            ("", true), ("tokens = []", true), ("allow_anonymous = true", false),
            ("[[ingest.tokens]]\ntoken_env = \"TOKEN\"", false), ("[[ingest.tokens]]\ntoken_file = \"/tmp\"", true),
        ])
    func tokens(_ lines: String, _ isRefused: Bool) {
        let found = Self.complaints(
            "[ingest]\nlisten = \"0.0.0.0:4319\"\n\(lines)\n", environment: ["TOKEN": "a-token-of-24-characters"])
        #expect(found.isEmpty != isRefused, "\(found)")
        if isRefused { #expect(found.contains { $0.contains("ingest.tokens") }) }
    }

    @Test(
        "origins are origins, hosts are names, and loopback is what begins with 127",
        arguments: [
            ("allowed_origins = [\"https://console.example\", \"http://localhost:3000\"]", nil),
            ("allowed_origins = [\"console.example\"]", "ingest.allowed_origins"),
            ("allowed_origins = [\"https://console.example/\"]", "ingest.allowed_origins"),
            ("allowed_hosts = [\"proxy.example\"]", nil), ("allowed_hosts = [\"proxy:80\"]", "ingest.allowed_hosts"),
            ("allowed_hosts = [\"\"]", "ingest.allowed_hosts"), ("listen = \"127.0.0.2:4319\"", nil),
            ("patience_millis = 0", "ingest.patience_millis"),
        ] as [(String, String?)])
    func browsers(_ line: String, _ key: String?) {
        let found = Self.complaints("[ingest]\n\(line)\n")
        #expect(found.isEmpty == (key == nil), "\(found)")
        if let key { #expect(found.contains { $0.contains(key) }, "\(found)") }
    }
}
