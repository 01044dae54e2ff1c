import Foundation
import NATSTestCluster
import NATSTransport
import Synchronization
import Testing

@Suite("JetStream")
struct JetStreamTests {
    @Test("creates, describes, changes, purges and deletes a stream")
    func streams() async throws {
        try await NATSTestServer.connected { _, jetStream in
            #expect(await code { _ = try await jetStream.streamInfo("S") } == .notFound)
            var wanted = StreamConfiguration(name: "S", subjects: ["in.*"])
            wanted.discard = .new
            wanted.maxBytes = 1 << 20
            wanted.maxAge = .seconds(3_600)
            wanted.maxMessagesPerSubject = 1_000
            wanted.duplicateWindow = .seconds(60)
            wanted.subjectTransform = .init(source: "in.*", destination: "out.{{partition(4,1)}}.{{wildcard(1)}}")
            let created = try await jetStream.createStream(wanted)
            #expect(wanted.differences(from: created.configuration) == [])
            #expect(created.created > 1_700_000_000_000_000_000)
            #expect(try await jetStream.createStream(wanted).created == created.created)

            wanted.maxBytes = 2 << 20
            #expect(wanted.differences(from: created.configuration) == ["max_bytes is 1048576, wanted 2097152"])
            #expect(wanted.differences(from: try await jetStream.updateStream(wanted).configuration) == [])

            for name in ["a", "b_b", "c"] {
                _ = try await jetStream.publish(subject: "in.\(name)", payload: Array(name.utf8))
            }
            let info = try await jetStream.streamInfo("S")
            #expect(info.messages == 3 && info.firstSequence == 1 && info.lastSequence == 3 && info.subjectCount == 3)
            let subjects = try await jetStream.subjects(of: "S", matching: "out.*.b_b")
            #expect(subjects.count == 1 && subjects.keys.first?.hasSuffix(".b_b") == true)
            #expect(try await jetStream.purgeStream("S", below: 0) == 0)
            #expect(try await jetStream.purgeStream("S", below: 1) == 0)
            #expect(try await jetStream.purgeStream("S", subject: "out.>", below: 1) == 0)
            #expect(try await jetStream.streamInfo("S").messages == 3)
            #expect(try await jetStream.purgeStream("S", below: 3) == 2)
            #expect(try await jetStream.purgeStream("S", subject: "out.*.c") == 1)
            try await jetStream.deleteStream("S")
            #expect(await code { _ = try await jetStream.streamInfo("S") } == .notFound)
        }
    }

    @Test("publishes only behind the expected sequence of the subject, which is 0 for the first")
    func expectedSequence() async throws {
        try await NATSTestServer.connected { _, jetStream in
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
            func publish(_ expected: Int, _ subject: String = "s.chain") async throws -> UInt64 {
                try await jetStream.publish(
                    subject: subject, headers: ["Nats-Expected-Last-Subject-Sequence": "\(expected)"], payload: [1]
                ).sequence
            }
            #expect(try await publish(0) == 1)
            #expect(await code { _ = try await publish(0) } == .wrongLastSequence)
            #expect(try await publish(0, "s.other") == 2)
            #expect(try await publish(1) == 3)
            #expect(await code { _ = try await publish(1) } == .wrongLastSequence)
        }
    }

    @Test("tells duplicates, full streams, too large messages and subjects without a stream")
    func refusals() async throws {
        try await NATSTestServer.connected { _, jetStream in
            var configuration = StreamConfiguration(name: "S", subjects: ["s"])
            configuration.discard = .new
            configuration.maxBytes = 2_000
            configuration.maxMessageSize = 1_500
            _ = try await jetStream.createStream(configuration)
            let first = try await jetStream.publish(subject: "s", headers: ["Nats-Msg-Id": "1"], payload: [1])
            let second = try await jetStream.publish(subject: "s", headers: ["Nats-Msg-Id": "1"], payload: [1])
            #expect(first.stream == "S" && !first.duplicate)
            #expect(second.duplicate && second.sequence == first.sequence)
            func publish(_ size: Int, _ subject: String = "s") async -> NATSError.Code? {
                await code {
                    _ = try await jetStream.publish(subject: subject, payload: Array(repeating: 0, count: size))
                }
            }
            #expect(await publish(1_600) == .payloadTooLarge)
            #expect(await publish(1_400) == nil)
            #expect(await publish(1_400) == .streamFull)
            #expect(await publish(1, "elsewhere") == .noResponders)
        }
    }

    @Test("reads messages by subject and sequence, with and without direct get", arguments: [true, false])
    func stored(allowDirect: Bool) async throws {
        try await NATSTestServer.connected { _, jetStream in
            var configuration = StreamConfiguration(name: "S", subjects: ["s.*"])
            configuration.allowDirect = allowDirect
            _ = try await jetStream.createStream(configuration)
            _ = try await jetStream.publish(subject: "s.a", headers: ["K": "v"], payload: [1])
            _ = try await jetStream.publish(subject: "s.b", payload: [])
            _ = try await jetStream.publish(subject: "s.a", payload: [3])
            let first = try #require(try await jetStream.message(stream: "S", sequence: 1))
            #expect(first.subject == "s.a" && first.headers == ["K": "v"] && first.payload == [1])
            #expect(first.time > 1_700_000_000_000_000_000)
            #expect(try await jetStream.message(stream: "S", sequence: 2)?.payload == [])
            #expect(try await jetStream.message(stream: "S", sequence: 2, matching: "s.a")?.sequence == 3)
            #expect(try await jetStream.lastMessage(stream: "S", subject: "s.b")?.sequence == 2)
            #expect(try await jetStream.lastMessage(stream: "S", subject: "s.a", fromLeader: true)?.sequence == 3)
            #expect(try await jetStream.lastMessage(stream: "S", subject: "s.c") == nil)
            #expect(try await jetStream.message(stream: "S", sequence: 9) == nil)
            #expect(await code { _ = try await jetStream.message(stream: "T", sequence: 1) } == .notFound)
        }
    }

    @Test("keeps many publishes on their way, within the window, and acks each in order")
    func publisher() async throws {
        try await NATSTestServer.connected { _, jetStream in
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s"]))
            let publisher = Publisher(jetStream, maxMessages: 16, maxBytes: 10_000)
            let acks = Mutex<[UInt64]>([])
            for _ in 0..<500 {
                try await publisher.publish(subject: "s", payload: Array(repeating: 7, count: 1_000)) { result in
                    if case .success(let ack) = result { acks.withLock { $0.append(ack.sequence) } }
                }
            }
            let codes = Mutex<[NATSError.Code]>([])
            try await publisher.publish(subject: "elsewhere", payload: []) { result in
                if case .failure(let error) = result { codes.withLock { $0.append(error.code) } }
            }
            // Larger than the whole window: goes alone.
            try await publisher.publish(subject: "s", payload: Array(repeating: 7, count: 20_000)) { result in
                if case .success(let ack) = result { acks.withLock { $0.append(ack.sequence) } }
            }
            await publisher.drain()
            #expect(acks.withLock { $0 } == Array(1...501))
            #expect(codes.withLock { $0 } == [.noResponders])
        }
    }
}

@Suite("Key-value bucket")
struct KeyValueBucketTests {
    @Test("sets, compares, deletes and lists keys")
    func operations() async throws {
        try await NATSTestServer.connected { _, jetStream in
            let bucket = try await KeyValueBucket.open(jetStream, name: "b")
            #expect(try await bucket.get("task.a.0") == nil)
            let first = try await bucket.create("task.a.0", [1])
            #expect(await code { try await bucket.create("task.a.0", [2]) } == .wrongLastRevision)
            let second = try await bucket.update("task.a.0", [2], revision: first)
            #expect(await code { try await bucket.update("task.a.0", [3], revision: first) } == .wrongLastRevision)
            let entry = try #require(try await bucket.get("task.a.0"))
            #expect(entry.value == [2] && entry.revision == second && entry.key == "task.a.0")

            try await bucket.put("task.a.1", [])
            try await bucket.put("task.b.0", [9])
            #expect(try await bucket.entries(prefix: "task.a").map(\.key) == ["task.a.0", "task.a.1"])
            #expect(await code { try await bucket.delete("task.a.0", revision: first) } == .wrongLastRevision)
            try await bucket.delete("task.a.0", revision: second)
            #expect(try await bucket.get("task.a.0") == nil)
            #expect(try await bucket.entries().map(\.key) == ["task.a.1", "task.b.0"])
            #expect(try await bucket.create("task.a.0", [4]) > second)
            try await bucket.purge("task.a.0")
            #expect(try await bucket.get("task.a.0", fromLeader: true) == nil)
        }
    }

    /// nats-server 2.12.8 forgets the last message of some subjects when it is stopped in an orderly way.
    @Test("has every value after a restart of the server, and can change it")
    func restart() async throws {
        try await NATSTestServer.connected { server, jetStream in
            let bucket = try await KeyValueBucket.open(jetStream, name: "b")
            let keys = (0..<16).map { "task.\($0)" }
            let value = [UInt8](repeating: 7, count: 60_000)
            for round in 0..<40 {
                for key in keys {
                    try await bucket.put(key, [UInt8(round)])
                    try await bucket.put("\(key).snapshot.\(round % 3)", value)
                }
            }
            await server.process.stop()
            try await server.process.restart()
            try await jetStream.connection.connected()
            for key in keys {
                let entry = try #require(try await bucket.get(key, fromLeader: true), "\(key)")
                #expect(entry.value == [39])
                #expect(await code { try await bucket.create(key, [0]) } == .wrongLastRevision)
                try await bucket.update(key, [1], revision: entry.revision)
                #expect(
                    await code { try await bucket.update(key, [2], revision: entry.revision) } == .wrongLastRevision)
                #expect(try await bucket.get(key)?.value == [1])
            }
        }
    }

    @Test("finds the last message of a subject without the server's word for it")
    func forgotten() async throws {
        try await NATSTestServer.connected { _, jetStream in
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
            #expect(try await jetStream.forgottenMessage(stream: "S", subject: "s.a") == nil)
            var last: [String: UInt64] = [:]
            for number in 0..<60 {
                let subject = number % 7 == 0 && number < 40 ? "s.a" : number == 3 ? "s.once" : "s.b"
                last[subject] = try await jetStream.publish(subject: subject, payload: [UInt8(number)]).sequence
            }
            for (subject, sequence) in last {
                let found = try #require(try await jetStream.forgottenMessage(stream: "S", subject: subject))
                #expect(found.sequence == sequence && found.expectedSequence == 0)
            }
        }
    }

    @Test("refuses a bucket that has another time to live")
    func settings() async throws {
        try await NATSTestServer.connected { _, jetStream in
            _ = try await KeyValueBucket.open(jetStream, name: "b", timeToLive: .seconds(10))
            _ = try await KeyValueBucket.open(jetStream, name: "b", timeToLive: .seconds(10))
            let error = await #expect(throws: NATSError.self) {
                try await KeyValueBucket.open(jetStream, name: "b", timeToLive: .seconds(20))
            }
            #expect(error?.code == .configuration)
            #expect(error?.message.contains("max_age") == true)
        }
    }
}
