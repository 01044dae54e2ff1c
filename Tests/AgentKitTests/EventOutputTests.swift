import AgentKit
import Testing

@Suite("Event output")
struct EventOutputTests {
    @Test("a user of the library can name and print the routing key")
    func key() {
        #expect("\(EventUUID(high: 1, low: 2))" == "00000000-0000-0001-0000-000000000002")
    }
}
