import Ingest
import Testing

@Suite("What ingest holds")
struct HeldBytesTests {
    private static func made() -> HeldBytes { HeldBytes(most: 100, share: 50) }

    @Test("a tenant has its share, and all together what there is")
    func room() {
        var held = HeldBytesTests.made()
        held.add(50, of: "a", isSending: true)
        #expect(!held.hasRoom("a"))
        #expect(held.hasRoom("b"))
        held.add(49, of: "b", isSending: false)
        #expect(held.hasRoom("c"))
        held.add(1, of: "c", isSending: false)
        #expect(!held.hasRoom("b") && !held.hasRoom("c"))
        held.add(-50, of: "a", isSending: true)
        #expect(held.hasRoom("a") && held.hasRoom("b") && held.bytes == 50)
    }

    @Test("who waits goes on when there is room")
    func waiting() {
        var held = HeldBytesTests.made()
        held.add(60, of: "a", isSending: true)
        #expect(held.mayGoOn(1, of: "b", isUnfinished: false) == true)
        #expect(held.mayGoOn(2, of: "a", isUnfinished: false) == false)
        #expect(held.mayGoOn(3, of: "a", isUnfinished: true) == false)
        #expect(held.woken() == [])
        held.left(2)
        held.add(-20, of: "a", isSending: true)
        #expect(held.woken() == [3])
        #expect(held.woken() == [])
    }

    @Test("of unfinished lines that leave no room one goes on, until it is complete")
    func turns() {
        var held = HeldBytesTests.made()
        held.add(60, of: "a", isSending: false)
        for holder in 1...3 as ClosedRange<UInt64> {
            #expect(held.mayGoOn(holder, of: "a", isUnfinished: holder > 1) == false)
        }
        // Not the first: it has no line whose end would make room.
        #expect(held.woken() == [2])
        #expect(held.woken() == [])
        #expect(held.mayGoOn(2, of: "a", isUnfinished: true) == true)
        held.finished(2)
        #expect(held.woken() == [3])
        held.left(3)
        held.add(-20, of: "a", isSending: false)
        #expect(held.woken() == [1])
    }

    @Test("nobody goes on without room while something is on its way to the broker")
    func sending() {
        var held = HeldBytesTests.made()
        held.add(40, of: "a", isSending: false)
        held.add(20, of: "a", isSending: true)
        #expect(held.mayGoOn(1, of: "a", isUnfinished: true) == false)
        #expect(held.woken() == [])
        held.add(-5, of: "a", isSending: true)
        #expect(held.woken() == [])
        held.add(45, of: "b", isSending: true)
        held.add(-15, of: "a", isSending: true)
        #expect(held.woken() == [1])
        held.left(1)
        held.add(30, of: "b", isSending: true)
        // Now it is not the share that is full, but all.
        #expect(held.mayGoOn(2, of: "a", isUnfinished: true) == false)
        #expect(held.woken() == [])
    }
}
