import Stages
import Testing

@Suite("Outages of a store")
struct StorageOutageTests {
    @Test("begins with the first failure and ends with the first success that was sent in it")
    func once() {
        var outage = StorageOutage()
        func failed(_ ticket: StorageOutage.Ticket) -> Bool { outage.failed(ticket) }
        func stored(_ ticket: StorageOutage.Ticket) -> Bool { outage.stored(ticket) }
        let before = outage.ticket
        #expect(failed(before))
        // Sent before, answered later: neither another outage nor the end of this one.
        #expect(!failed(before))
        #expect(!stored(before))
        let during = outage.ticket
        #expect(!failed(during))
        #expect(stored(during))
        #expect(!stored(during))
        #expect(!failed(during))
        #expect(!outage.isOn)
        #expect(failed(outage.ticket))
        #expect(outage.isOn)
    }
}
