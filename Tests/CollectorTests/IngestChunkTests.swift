import NATSTransport
import Stages
import Synchronization
import Testing

@testable import Collector
@testable import Ingest

@Suite("Ingest of events in chunks", .timeLimit(.minutes(1)))
struct IngestChunkTests {
    @Test("begins again with the first chunk when it was cut off between two for long; one event comes out of it")
    func cutOff() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let configuration = try rig.configuration()
            _ = try await StreamProvisioner(rig.jetStream, configuration.streams).prepare()
            // The second chunk would come an hour after the first.
            let reads = Mutex(0)
            let publisher = IngestPublisher(
                rig.jetStream, instance: "test", memory: IngestMemory(maximumBytes: 1 << 20), metrics: Metrics(),
                now: {
                    reads.withLock { reads in
                        reads += 1
                        return reads <= 2 ? 0 : 3_600_000_000_000
                    }
                })
            let packed = [UInt8](repeating: 7, count: 150_000)
            let failure = await withCheckedContinuation { continuation in
                publisher.submit(
                    IngestEntry([.line(packed)], size: packed.count, deadline: nil) {
                        continuation.resume(returning: $0)
                    }, of: IngestAccess.Sender(tenant: "acme", key: "key"))
            }
            #expect(failure == nil)
            let last = try await rig.jetStream.streamInfo(SkeinSubjects.eventsStream).lastSequence
            let stored = try await rig.jetStream.messages(
                stream: SkeinSubjects.eventsStream, sequences: 1...last)
            let messages = stored.sorted { $0.key < $1.key }.map(\.value)
            #expect(
                messages.map { $0.headers[SkeinHeaders.messageID] } == [
                    "acme/test/1/1/3", "acme/test/1/1/3/1", "acme/test/1/2/3/1", "acme/test/1/3/3/1",
                ])
            #expect(Set(messages.map { $0.headers[SkeinHeaders.chunkID] }) == ["test/1/3"])
            var chunks = ChunkAssembler(stage: "process", stream: SkeinSubjects.eventsStream)
            let whole = messages.enumerated().compactMap { index, message in
                chunks.receive(
                    StageMessage(
                        subject: message.subject, sequence: UInt64(index + 1),
                        timeNanoseconds: index == 0 ? 0 : 3_600_000_000_000, contentType: nil,
                        payload: message.payload),
                    chunk: message.headers[SkeinHeaders.chunk], id: message.headers[SkeinHeaders.chunkID]
                ).message
            }
            #expect(whole.map(\.payload) == [packed])
        }
    }
}
