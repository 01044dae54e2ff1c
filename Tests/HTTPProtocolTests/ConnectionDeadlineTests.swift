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

    @Test("leave an idle connection less time where places are scarce, and one that is used as much")
    func scarcity() {
        var deadlines = ConnectionDeadlines(.init(), connected: .zero)
        deadlines.headersCame(.seconds(1), isStream: true)
        #expect(deadlines.overdue(.seconds(500), areScarce: true) == nil)
        deadlines.answered(.seconds(500))
        #expect(deadlines.overdue(.seconds(510), areScarce: true) == nil)
        #expect(deadlines.overdue(.seconds(511), areScarce: true) == .headers)
        #expect(deadlines.overdue(.seconds(511)) == nil)
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

    @Test("a line within a stream has a deadline, a stream without one has none; a pause does not count")
    func lines() {
        var deadlines = ConnectionDeadlineTests.made()
        deadlines.headersCame(.seconds(5), isStream: true)
        deadlines.recordCame(100, heldBytes: 100, isNew: true, .seconds(1000))
        #expect(deadlines.overdue(.seconds(1010)) == nil)
        #expect(deadlines.overdue(.seconds(1011)) == .record)
        deadlines.paused(.seconds(1005))
        #expect(deadlines.overdue(.seconds(5000)) == nil)
        deadlines.resumed(.seconds(2005))
        #expect(deadlines.overdue(.seconds(2010)) == nil)
        #expect(deadlines.overdue(.seconds(2011)) == .record)
        deadlines.recordCame(5, heldBytes: 0, isNew: true, .seconds(2010))
        #expect(deadlines.overdue(.seconds(100_000)) == nil)
        deadlines.recordCame(5, heldBytes: 5, isNew: true, .seconds(100_000))
        deadlines.bodyEnded()
        #expect(deadlines.overdue(.seconds(200_000)) == nil)
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

@Suite("Deadlines of lines and messages")
struct RecordDeadlineTests {
    @Test("who keeps the speed has the time, up to ten minutes")
    func speed() {
        var deadline = RecordDeadline(.init())
        var held = 0
        for second in 0..<600 {
            held += 1024
            deadline.came(1024, heldBytes: held, isNew: second == 0, .seconds(second))
            #expect(!deadline.isOverdue(.seconds(second + 1)))
        }
        deadline.came(1024, heldBytes: held, isNew: false, .seconds(600))
        #expect(deadline.isOverdue(.seconds(601)))
    }

    @Test("who drips has no more than ten seconds, whoever falls silent no more than thirty, however much came")
    func silence() {
        var deadline = RecordDeadline(.init())
        deadline.came(1, heldBytes: 1, isNew: true, .zero)
        for second in 1...10 { deadline.came(1, heldBytes: second + 1, isNew: false, .seconds(second)) }
        #expect(deadline.isOverdue(.seconds(11)))
        deadline.came(50 << 20, heldBytes: 50 << 20, isNew: true, .seconds(20))
        #expect(!deadline.isOverdue(.seconds(50)))
        #expect(deadline.isOverdue(.seconds(51)))
    }
}
