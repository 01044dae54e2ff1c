import Collector
import Logging
import Synchronization
import Testing

@Suite("The log while the broker is away")
struct OutageLogTests {
    @Test("counts what fails while the broker is away, and tells it in one line")
    func away() {
        let isConnected = Mutex(true)
        let log = OutageLog(isConnected: { isConnected.withLock { $0 } })
        let start = ContinuousClock.now
        #expect(log.summary(now: start) == nil)
        isConnected.withLock { $0 = false }
        log.lost(now: start)
        // Another word of the same outage does not begin it anew.
        log.lost(now: start + .seconds(5))
        for number in 0..<40 { #expect(log.admit("task restarts", of: "export-\(number % 4)", now: start) == nil) }
        #expect(log.admit("trims", now: start) == nil)
        #expect(
            log.summary(now: start + .seconds(10)) == ["away_seconds": "10", "failed": "40 task restarts, 1 trims"])
        #expect(log.summary(now: start + .seconds(20)) == ["away_seconds": "20", "failed": "nothing"])
        isConnected.withLock { $0 = true }
        #expect(log.restored(now: start + .seconds(21)) == ["away_seconds": "21", "failed": "nothing"])
        #expect(log.restored(now: start + .seconds(22)) == nil)
        #expect(log.admit("task restarts", of: "export-0", now: start + .seconds(22)) == 0)
    }

    @Test("lets a line of each kind and key through in ten seconds while the broker is there")
    func there() {
        let log = OutageLog()
        let start = ContinuousClock.now
        let admitted = (0..<100).map { log.admit("task restarts", of: "process", now: start + .milliseconds($0 * 150)) }
        #expect(admitted.compactMap(\.self) == [0, 66])
        #expect(log.admit("task restarts", of: "assemble", now: start) == 0)
        #expect(log.admit("lease renewals", now: start) == 0)
    }
}
