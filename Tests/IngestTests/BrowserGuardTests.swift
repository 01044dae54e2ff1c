import Ingest
import Testing

@Suite("Requests of web pages")
struct BrowserGuardTests {
    private static let cases: [(origin: String?, host: String?, isLoopback: Bool, refused: IngestRefusal.Reason?)] = [
        (nil, "localhost:4319", true, nil), (nil, "127.0.0.1:4319", true, nil), (nil, "[::1]:4319", true, nil),
        (nil, "127.9.9.9", true, nil), (nil, "LOCALHOST", true, nil), (nil, nil, true, nil),
        (nil, "proxy.example", true, nil), (nil, "evil.example:4319", true, .host),
        (nil, "127.0.0.1.evil.example", true, .host), (nil, "localhost.evil.example", true, .host),
        (nil, "0.0.0.0:4319", true, .host), (nil, "", true, .host), (nil, "collector.example", false, nil),
        ("http://localhost:3000", "localhost:4319", true, nil), ("http://[::1]:3000", "[::1]:4319", true, nil),
        ("https://console.example", "localhost:4319", true, nil), ("https://Console.example", "x", false, nil),
        ("https://console.example:8443", "localhost:4319", true, .origin),
        ("http://evil.example", "localhost:4319", true, .origin), ("null", "localhost:4319", true, .origin),
        ("", "localhost:4319", true, .origin), ("http://localhost:3000", nil, true, .origin),
        ("http://localhost.evil.example", "localhost", true, .origin),
        // A name that was given the address of loopback.
        ("http://evil.example", "evil.example", true, .host),
        ("http://collector.example", "collector.example:4319", false, nil),
        ("http://evil.example", "collector.example", false, .origin),
    ]

    @Test("are refused unless they are of this host or of an origin that may", arguments: cases)
    func decisions(_ origin: String?, _ host: String?, _ isLoopback: Bool, _ refused: IngestRefusal.Reason?) {
        let guarding = BrowserGuard(allowedOrigins: ["https://console.example"], allowedHosts: ["proxy.example"])
        var found: IngestRefusal.Reason?
        do throws(IngestRefusal) {
            try guarding.check(origin: origin, host: host, isLoopback: isLoopback)
        } catch {
            found = error.reason
            #expect(error.status == 403)
            #expect(!error.detail.contains("evil"))
        }
        #expect(found == refused)
    }
}
