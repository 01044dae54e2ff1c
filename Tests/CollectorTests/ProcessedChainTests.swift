import ATOF
import NATSTransport
import Stages
import Testing

@testable import Collector

@Suite("Chains of PROCESSED", .timeLimit(.minutes(2)))
struct ProcessedChainTests {
    private static func uuids(_ numbers: some Sequence<Int>) -> [EventUUID] {
        numbers.map { Run.uuid(run: 1, scope: $0) }
    }

    @Test("carry an event that is larger than a message in chunks, of which only the last covers it")
    func large() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let process = try await ProcessRig(rig)
            let worker = try await process.worker()
            try await process.delivering(worker) {
                try await worker.receive(try ProcessRig.message(4, [ProcessRig.line(1)]))
                try await eventually("the first is stored") { await worker.confirmed() == 4 }
                try await worker.receive(
                    try ProcessRig.message(9, [ProcessRig.line(2, bytes: 200_000), ProcessRig.line(3)]))
                try await eventually("all is stored") { await worker.confirmed() == 9 }
            }
            let stored = try await rig.contents(of: SkeinSubjects.processedStream)
            #expect(stored.count > 4)
            #expect(stored.map { $0.headers[SkeinHeaders.source] ?? "" }.dropLast(2).allSatisfy { $0 == "4.0" })
            #expect(stored.suffix(2).map { $0.headers[SkeinHeaders.source] } == ["9.0", "9.1"])
            let read = try await process.processed()
            #expect(read.letters.isEmpty && read.voided == 0)
            #expect(try ProcessRig.scopes(of: read.messages) == Self.uuids(1...3))
        }
    }

    @Test("begin a large event again of which another owner has written half")
    func half() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let process = try await ProcessRig(rig)
            let message = try ProcessRig.message(9, [ProcessRig.line(2, bytes: 200_000)])
            let first = try await process.worker()
            try await process.delivering(first) {
                try await first.receive(message)
                try await eventually("it is stored") { await first.confirmed() == 9 }
            }
            // As if the first had died before its last chunk.
            let stored = try await rig.contents(of: SkeinSubjects.processedStream)
            try await rig.jetStream.deleteMessage(
                stream: SkeinSubjects.processedStream, sequence: try #require(stored.last).sequence)
            let second = try await process.worker(epoch: 2)
            try await process.delivering(second) {
                try await second.receive(message)
                try await eventually("it is stored") { await second.confirmed() == 9 }
            }
            let read = try await process.processed()
            #expect(read.voided == 1 && read.letters.isEmpty)
            #expect(try ProcessRig.scopes(of: read.messages) == Self.uuids([2]))
            // A third one finds that it is there.
            let third = try await process.worker(epoch: 3)
            let count = try await rig.messages(in: SkeinSubjects.processedStream)
            try await process.delivering(third) {
                try await third.receive(message)
                try await eventually("nothing is to do") { await third.confirmed() == 9 }
            }
            #expect(try await rig.messages(in: SkeinSubjects.processedStream) == count)
        }
    }

    @Test("are closed to the owner before by an empty message, which readers pass over")
    func fence() async throws {
        try await Rig.with { rig in
            let process = try await ProcessRig(rig)
            let stale = try await process.worker()
            let running = Task { try await stale.run() }
            try await stale.receive(try ProcessRig.message(4, [ProcessRig.line(1)]))
            try await eventually("it is stored") { await stale.confirmed() == 4 }
            _ = try await process.worker(epoch: 2, fences: true)
            try await stale.receive(try ProcessRig.message(5, [ProcessRig.line(2)]))
            await #expect(throws: FencedError.self) { try await running.value }
            let stored = try await rig.contents(of: SkeinSubjects.processedStream)
            #expect(stored.map(\.payload.isEmpty) == [false, true])
            #expect(stored.map { $0.headers[SkeinHeaders.source] } == ["4.0", "4.0"])
            #expect(stored.map { $0.headers[SkeinHeaders.epoch] } == ["1", "2"])
            let read = try await process.processed().messages
            let context = process.context(stage: "assemble")
            #expect(try await context.events(of: read[1]).events.isEmpty)
            #expect(try await rig.deadLetters().isEmpty)
            // The successor goes on behind it; raised again, the fence adds nothing.
            let next = try await process.worker(epoch: 2, fences: true)
            try await process.delivering(next) {
                try await next.receive(try ProcessRig.message(4, [ProcessRig.line(1)]))
                try await next.receive(try ProcessRig.message(5, [ProcessRig.line(2)]))
                try await eventually("it is stored") { await next.confirmed() == 5 }
            }
            #expect(try ProcessRig.scopes(of: try await process.processed().messages) == Self.uuids(1...2))
            #expect(try await rig.messages(in: SkeinSubjects.processedStream) == 3)
        }
    }

    @Test("are let go when they are idle and many, and go on where they were when their tenant comes back")
    func eviction() async throws {
        try await Rig.with { rig in
            let process = try await ProcessRig(rig)
            let worker = try await process.worker()
            let tenants = (0..<1_100).map { "t\($0)" }
            try await process.delivering(worker) {
                for (index, tenant) in tenants.enumerated() {
                    try await worker.receive(
                        try ProcessRig.message(UInt64(index + 1), [ProcessRig.line(1)], tenant: tenant))
                }
                try await worker.receive(try ProcessRig.message(2_000, [ProcessRig.line(2)], tenant: tenants[0]))
                try await eventually("all is stored") { await worker.confirmed() == 2_000 }
            }
            #expect(process.metrics.total("skein_chains_evicted_total") > 0)
            let messages = try await process.processed().messages
            #expect(messages.count == tenants.count + 1)
            let first = messages.filter { SkeinSubjects.tenant(ofProcessed: $0.subject) == tenants[0] }
            #expect(try ProcessRig.scopes(of: first) == Self.uuids(1...2))
        }
    }

    @Test("wait while PROCESSED is full, say so, and go on when there is room: nothing is lost, nothing twice")
    func full() async throws {
        try await Rig.with { rig in
            var streams = CollectorConfiguration().streams
            streams.processedMaximumBytes = 1_200_000
            let process = try await ProcessRig(rig, streams: streams)
            let worker = try await process.worker()
            let count = 300
            var found: [EventUUID] = []
            try await process.delivering(worker) {
                for number in 1...count {
                    try await worker.receive(
                        try ProcessRig.message(UInt64(number), [ProcessRig.line(number, bytes: 10_000)]))
                }
                try await eventually("it is full") { process.metrics.total("skein_processed_full") == 1 }
                #expect(process.metrics.total("skein_processed_full_total") > 0)
                #expect(process.log.all.contains { $0.hasPrefix("PROCESSED is full") })
                #expect(await worker.confirmed() < UInt64(count))
                var read: UInt64 = 0
                try await eventually("all has gone through") {
                    // As readers and the trimmer make room.
                    let fresh = try await rig.contents(of: SkeinSubjects.processedStream).filter { $0.sequence > read }
                    for message in fresh {
                        let batch = try EventBatch(unpacking: message.payload)
                        found += try (0..<batch.count).map { try batch.event(at: $0).uuid }
                        read = message.sequence
                    }
                    try await rig.jetStream.purgeStream(SkeinSubjects.processedStream, below: read + 1)
                    return found.count >= count
                }
                try await eventually("the worker knows") { await worker.confirmed() == UInt64(count) }
            }
            #expect(found == Self.uuids(1...count))
            #expect(process.metrics.total("skein_processed_full") == 0)
            #expect(try await rig.deadLetters().isEmpty)
        }
    }
}
