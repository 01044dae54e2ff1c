import HTTPProtocol
import Testing

@Suite("Deadlines of a connection")
struct ConnectionDeadlineTests {
    private static func made() -> ConnectionDeadlines { ConnectionDeadlines(.init(), connected: .zero) }

    @Test("headers have ten seconds from the connection on, however they drip")
    func headers() {
        var deadlines = ConnectionDeadlineTests.made()
        #expect(deadlines.overdue(.seconds(10)) == nil)
        deadlines.requestLineCame(.seconds(9))
        #expect(deadlines.overdue(.seconds(11)) == .headers)
    }

    @Test("a connection that is kept may be idle for two minutes, and has ten seconds from a request line on")
    func idle() {
        var deadlines = ConnectionDeadlineTests.made()
        deadlines.headersCame(.seconds(1), isStream: false)
        deadlines.bodyEnded()
        deadlines.answered(.seconds(2))
        #expect(deadlines.overdue(.seconds(121)) == nil)
        #expect(deadlines.overdue(.seconds(123)) == .headers)
        deadlines.requestLineCame(.seconds(100))
        #expect(deadlines.overdue(.seconds(109)) == nil)
        #expect(deadlines.overdue(.seconds(111)) == .headers)
    }

    @Test("a body has ten seconds, and a second more for each kilobyte that came; a pause does not count")
    func body() {
        var deadlines = ConnectionDeadlineTests.made()
        deadlines.headersCame(.seconds(5), isStream: false)
        #expect(deadlines.overdue(.seconds(15)) == nil)
        #expect(deadlines.overdue(.seconds(16)) == .body)
        deadlines.bodyCame(10 * 1024)
        #expect(deadlines.overdue(.seconds(25)) == nil)
        deadlines.paused(.seconds(20))
        #expect(deadlines.overdue(.seconds(1000)) == nil)
        deadlines.resumed(.seconds(1020))
        #expect(deadlines.overdue(.seconds(1025)) == nil)
        #expect(deadlines.overdue(.seconds(1026)) == .body)
    }

    @Test("a stream and an answer that is being found take as long as they like")
    func unbounded() {
        var deadlines = ConnectionDeadlineTests.made()
        deadlines.headersCame(.seconds(5), isStream: true)
        #expect(deadlines.overdue(.seconds(100_000)) == nil)
        deadlines.bodyEnded()
        #expect(deadlines.overdue(.seconds(100_000)) == nil)
    }
}
