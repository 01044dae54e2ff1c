import ATOF
import Stages
import Testing

@Suite("Queue of a store")
struct StoreQueueTests {
    /// The same numbers for the same seed.
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 33)
        }
    }

    private static func document(_ trajectory: Int, at position: UInt64) -> StoreQueue.Document {
        StoreQueue.Document(subject: subject(trajectory), position: position)
    }

    private static func subject(_ trajectory: Int) -> String {
        SkeinSubjects.trajectory(tenant: "acme", id: EventUUID(high: 1, low: UInt64(trajectory)))
    }

    private static func total(_ queue: StoreQueue) -> LedgerCounts { queue.rows.total(tenant: "acme") }

    @Test("sends so many at a time, and one of a trajectory")
    func width() {
        var queue = StoreQueue(width: 2, limit: 100)
        let (first, again) = (Self.document(1, at: 1), Self.document(1, at: 2))
        let (second, third) = (Self.document(2, at: 3), Self.document(3, at: 4))
        #expect(queue.arrived(first).start == [first])
        #expect(queue.arrived(again).start == [])
        #expect(queue.arrived(second).start == [second])
        #expect(queue.arrived(third).start == [])
        #expect(queue.firstOpen == 1 && queue.openCount == 4)
        #expect(queue.ended(second, .stored) == [third])
        #expect(queue.firstOpen == 1)
        #expect(queue.ended(first, .stored) == [again])
        #expect(queue.firstOpen == 2)
        #expect(queue.ended(again, .stored) == [])
        #expect(queue.ended(third, .refused) == [])
        #expect(queue.firstOpen == nil && queue.openCount == 0)
    }

    @Test("leaves out what waits when a newer revision comes, and lets one that is under way end first")
    func superseded() {
        var queue = StoreQueue(width: 1, limit: 100)
        let documents = (1...3).map { Self.document(7, at: UInt64($0)) }
        #expect(queue.arrived(documents[0]).start == [documents[0]])
        #expect(queue.arrived(documents[1]).superseded == [])
        let (start, superseded) = queue.arrived(documents[2])
        #expect(start == [] && superseded == [documents[1]])
        #expect(queue.ended(documents[0], .stored) == [documents[2]])
        #expect(queue.ended(documents[2], .stored) == [])
        let total = Self.total(queue)
        #expect(total[.received] == 3 && total[.delivered] == 2 && total[.superseded] == 1 && total.pending == 0)
    }

    @Test("does not send a replayed letter beside a newer revision, whether that is under way or waits")
    func replays() {
        let newer = Self.document(7, at: 5)
        let replay = StoreQueue.Document(subject: newer.subject, source: "replay", position: 6, origin: 2)
        var queue = StoreQueue(width: 1, limit: 100)
        #expect(queue.arrived(newer).start == [newer])
        #expect(queue.arrived(replay).superseded == [replay])
        #expect(queue.ended(newer, .stored) == [])
        #expect(Self.total(queue)[.replayed] == 1)

        // The letter of the last revision there is.
        queue = StoreQueue(width: 1, limit: 100)
        #expect(queue.arrived(replay).start == [replay])
        #expect(queue.ended(replay, .stored) == [])
        #expect(Self.total(queue)[.delivered] == 1)
    }

    @Test("is full when too many are behind one that does not end, and empties when that does")
    func full() {
        var queue = StoreQueue(width: 4, limit: 3)
        let documents = (1...3).map { Self.document($0, at: UInt64($0)) }
        for document in documents { _ = queue.arrived(document) }
        #expect(queue.isFull)
        _ = queue.ended(documents[1], .stored)
        _ = queue.ended(documents[2], .stored)
        #expect(queue.isFull)
        _ = queue.ended(documents[0], .stored)
        // Nothing is sealed yet: the checkpoint must not be waited for by what waits for room.
        #expect(!queue.isFull)
        _ = queue.sealed(at: 3)
        #expect(queue.arrived(Self.document(9, at: 4)).start.count == 1)
    }

    @Test(
        "keeps books that say exactly what became of everything up to a checkpoint, and counts nothing twice after it")
    func books() throws {
        var queue = StoreQueue(width: 4, limit: 100)
        let outcomes = StoreQueue.Outcome.allCases
        for (index, outcome) in outcomes.enumerated() {
            let document = Self.document(index, at: UInt64(index + 1))
            _ = queue.arrived(document)
            _ = queue.ended(document, outcome)
        }
        let beyond = Self.document(50, at: 50)
        _ = queue.arrived(beyond)
        #expect(Self.total(queue)[.received] == 6)
        #expect(Self.total(queue).pending == 1)
        var restored = try StoreQueue(width: 4, limit: 100, snapshot: queue.sealed(at: 5))
        #expect(Self.total(restored)[.received] == 5)
        #expect(Self.total(restored).pending == 0)
        for field in [LedgerCounts.Field.delivered, .superseded, .deadLettered, .rejected, .expired] {
            #expect(Self.total(restored)[field] == 1)
        }
        // It comes again, as everything behind a checkpoint does.
        _ = restored.arrived(beyond)
        _ = restored.ended(beyond, .stored)
        #expect(Self.total(restored)[.received] == 6 && Self.total(restored)[.delivered] == 2)
    }

    @Test("follows a random order of arrivals and ends: never two of a trajectory, the last one is sent last")
    func random() {
        for seed in 0..<200 {
            var random = Random(state: UInt64(seed))
            var queue = StoreQueue(width: 3, limit: 1000)
            var underWay: [StoreQueue.Document] = []
            var lastSent: [String: UInt64] = [:]
            var position: UInt64 = 0
            func sent(_ documents: [StoreQueue.Document]) {
                for document in documents {
                    #expect(!underWay.contains { $0.subject == document.subject })
                    #expect(lastSent[document.subject, default: 0] < document.position)
                    lastSent[document.subject] = document.position
                    underWay.append(document)
                }
                #expect(underWay.count <= 3)
            }
            var newest: [String: UInt64] = [:]
            for _ in 0..<40 {
                if Bool.random(using: &random) || underWay.isEmpty {
                    position += 1
                    let document = Self.document(Int.random(in: 0..<4, using: &random), at: position)
                    newest[document.subject] = position
                    sent(queue.arrived(document).start)
                } else {
                    let document = underWay.remove(at: Int.random(in: 0..<underWay.count, using: &random))
                    sent(queue.ended(document, .stored))
                }
            }
            while let document = underWay.popLast() { sent(queue.ended(document, .stored)) }
            #expect(queue.openCount == 0 && lastSent == newest)
            #expect(Self.total(queue).pending == 0 && Self.total(queue)[.received] == position)
        }
    }
}
