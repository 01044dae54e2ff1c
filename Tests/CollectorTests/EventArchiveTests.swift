import ATOF
import NATSTransport
import Stages
import Testing

@testable import Collector

@Suite("Event archive", .timeLimit(.minutes(1)))
struct EventArchiveTests {
    @Test("reads whole messages, also those in chunks, and leaves out what is gone or incomplete")
    func chunks() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let run = Run(number: 1, tenant: "acme", calls: 6)
            let batch = try packed(run.lines)
            let subject = SkeinSubjects.processed(tenant: "acme", partition: 0, source: 0)
            func store(_ bytes: [UInt8], on subject: String, _ chunk: String? = nil, id: String = "a") async throws {
                var headers: NATSHeaders = [:]
                if let chunk {
                    headers[SkeinHeaders.chunk] = chunk
                    headers[SkeinHeaders.chunkID] = id
                }
                _ = try await rig.jetStream.publish(subject: subject, headers: headers, payload: bytes)
            }
            let other = SkeinSubjects.processed(tenant: "acme", partition: 0, source: 1)
            let (first, second, third) = (batch.count / 3, batch.count / 2, batch.count)
            try await store(Array(batch[..<first]), on: subject, "1/3")
            try await store(batch, on: other)
            try await store(Array(batch[first..<second]), on: subject, "2/3")
            try await store(Array(batch[first..<second]), on: subject, "2/3")
            try await store(Array(batch[second..<third]), on: subject, "3/3")
            try await store(Array(batch[..<first]), on: subject, "1/2", id: "b")
            try await store(Array(batch[first...]), on: subject, "2/2", id: "c")
            let references = (1...9).map { EventReference(sequence: $0, index: 3) }
            let found = try await EventArchive.packedEvents(at: references, from: rig.jetStream)
            let expected = try EventBatch(unpacking: batch).packedEvent(at: 3).array
            #expect(found == [references[0]: expected, references[1]: expected])
            let beyond = EventReference(sequence: 2, index: 1000)
            #expect(try await EventArchive.packedEvents(at: [beyond], from: rig.jetStream).isEmpty)
        }
    }
}
