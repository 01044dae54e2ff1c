package import ATOF

/// Puts messages together that came in chunks, so that stages only see whole ones.
///
/// The chunks of a message come in order on one subject, each with its number and the message's id. What is interrupted ends as one dead
/// letter: by time of the log, by a chunk that is missing, or by a bound. On a chain of PROCESSED (`SkeinSubjects.isChain`) something else
/// makes a half message void: its writer has ended, and its successor sends the event again.
///
/// The snapshot has no payloads: what is restored names the sequences to read again in `missing`.
package struct ChunkAssembler: Sendable {
    package struct Limits: Sendable, Hashable {
        /// Bytes of a whole message.
        package var maximumBytes = 64 << 20
        package var maximumChunks = 65_536
        /// Of half messages, all together: when there is more the oldest is given up.
        package var openBytes = 128 << 20
        package var openMessages = 256
        /// From one chunk to the next, nanoseconds of the log.
        package var timeout: UInt64 = 60_000_000_000
        /// The same on a chain, whose writer may wait for a full stream.
        package var chainTimeout: UInt64 = 24 * 3_600_000_000_000
        /// Messages that have ended and whose chunks are recognised when they come again.
        package var remembered = 1024

        package init() {}
    }

    /// Why chunks become a dead letter.
    package enum Reason: String, Sendable, CaseIterable {
        /// A chunk is missing, or did not come in time.
        case incomplete = "incomplete_chunks"
        case tooLarge = "chunks_too_large"
        /// Too much else was half received.
        case tooMany = "too_many_chunks"
        /// The headers are none, or contradict those of the chunk before.
        case invalid = "invalid_chunk"
    }

    package struct Outcome: Sendable, Hashable {
        /// What is given up, before the message.
        package fileprivate(set) var deadLetters: [DeadLetter] = []
        /// A whole one, of one chunk or many.
        package fileprivate(set) var message: StageMessage?
        /// Chunks that came twice, or after their message was given up.
        package fileprivate(set) var repeatedChunks = 0
        /// Half messages that their chain has sent again.
        package fileprivate(set) var voided = 0
    }

    private struct Key: Hashable, Sendable {
        let subject: String
        let id: String
    }

    private struct Open: Sendable {
        let isChain: Bool
        let count: Int
        let contentType: String?
        let stage: String?
        let isReplay: Bool
        /// The number of the last chunk.
        var number = 0
        /// When the last chunk was stored.
        var time: UInt64 = 0
        var bytes = 0
        var sequences: [UInt64] = []
        /// Nil where a restored one is not read again yet.
        var parts: [[UInt8]?] = []
        /// The first thing that is wrong; the rest of the chunks still comes to the letter.
        var flaw: Flaw?

        /// What is there. `bytes` tells of a restored one what there was, and whoever wrote the snapshot may have written anything.
        var payload: [UInt8] {
            let known = parts.compactMap(\.self)
            var payload: [UInt8] = []
            payload.reserveCapacity(known.reduce(0) { $0 + $1.count })
            for part in known { payload += part }
            return payload
        }
    }

    private struct Flaw: Sendable {
        let reason: Reason
        let text: String
    }

    private let stage: String
    private let stream: String
    private let limits: Limits
    private var open: [Key: Open] = [:]
    private var order = AgeOrder<Key>()
    private var openBytes = 0
    /// No half message is given up before: it spares a look at all of them for every message.
    private var earliest = UInt64.max
    /// The half message of a chain.
    private var chains: [String: Key] = [:]
    private var ended: [Key: Bool] = [:]
    private var endedOrder = AgeOrder<Key>()

    /// - Parameters:
    ///   - stage: which dead letters name.
    ///   - stream: the one that is read.
    package init(stage: String, stream: String, limits: Limits = Limits()) {
        self.stage = stage
        self.stream = stream
        self.limits = limits
    }

    /// Half messages now.
    package var openCount: Int { open.count }

    /// The sequence of the oldest chunk that is needed for a message that is not whole yet.
    package var oldestReference: UInt64? { open.values.compactMap(\.sequences.first).min() }

    /// When the next half message is given up, nanoseconds since 1970.
    package var deadline: UInt64? { open.values.lazy.map { deadline(of: $0) }.min() }

    private func deadline(of half: Open) -> UInt64 {
        half.time &+ (half.isChain ? limits.chainTimeout : limits.timeout)
    }

    /// Takes the next message of the stream, which may be a chunk.
    ///
    /// - Parameters:
    ///   - message: as it is in the stream.
    ///   - chunk: its header `Skein-Chunk`.
    ///   - id: its header `Skein-Chunk-Id`.
    package mutating func receive(_ message: StageMessage, chunk: String?, id: String?) -> Outcome {
        var outcome = Outcome()
        if message.timeNanoseconds >= earliest { expire(at: message.timeNanoseconds, &outcome) }
        guard let chunk else {
            void(message.subject, by: nil, &outcome)
            outcome.message = message
            return outcome
        }
        guard let (number, count) = ChunkAssembler.parse(chunk), let id, !id.isEmpty, id.utf8.count <= 256 else {
            outcome.deadLetters.append(
                letter(
                    of: message, .invalid,
                    "Skein-Chunk must be <n>/<count> and Skein-Chunk-Id a text of at most 256 bytes"))
            return outcome
        }
        let key = Key(subject: message.subject, id: id)
        void(message.subject, by: key, &outcome)
        if let wasWhole = ended[key] {
            // After it was given up a message may be sent again from its beginning.
            guard !wasWhole, number == 1 else {
                outcome.repeatedChunks += 1
                return outcome
            }
            endedOrder.remove(key)
            ended[key] = nil
        }
        add(message, key, number, count, &outcome)
        return outcome
    }

    private mutating func add(
        _ message: StageMessage, _ key: Key, _ number: Int, _ count: Int, _ outcome: inout Outcome
    ) {
        var half: Open
        if let found = open[key] {
            half = found
        } else {
            half = Open(
                isChain: SkeinSubjects.isChain(key.subject), count: count, contentType: message.contentType,
                stage: message.stage, isReplay: message.isReplay)
            order.append(key)
            if half.isChain { chains[key.subject] = key }
        }
        // Held by the local only, so that appending copies no payload.
        open[key] = nil
        if number <= half.number {
            outcome.repeatedChunks += 1
            // Its sender has begun again, and is on its way to what is missing.
            half.time = max(half.time, message.timeNanoseconds)
            open[key] = half
            return
        }
        if half.flaw == nil {
            if count != half.count {
                half.flaw = Flaw(
                    reason: .invalid, text: "chunk \(number) says \(count) chunks, those before \(half.count)")
            } else if number != half.number + 1 {
                half.flaw = Flaw(
                    reason: .incomplete, text: "chunk \(half.number + 1) of \(count) is missing before chunk \(number)")
            }
        }
        half.number = number
        half.time = max(half.time, message.timeNanoseconds)
        earliest = min(earliest, deadline(of: half))
        half.sequences.append(message.sequence)
        half.parts.append(message.payload)
        half.bytes += message.payload.count
        openBytes += message.payload.count
        open[key] = half
        if half.bytes > limits.maximumBytes || count > limits.maximumChunks {
            let text =
                count > limits.maximumChunks
                ? "the message has \(count) chunks, the most is \(limits.maximumChunks)"
                : "the message has more than \(limits.maximumBytes) bytes; raise max_event_bytes or send less"
            return giveUp(key, Flaw(reason: .tooLarge, text: text), &outcome)
        }
        if number == half.count || number >= count { return finish(key, message, &outcome) }
        while open.count > 1, openBytes > limits.openBytes || open.count > limits.openMessages,
            let oldest = order.first
        {
            giveUp(
                oldest,
                Flaw(
                    reason: .tooMany,
                    text: "\(open.count) messages with \(openBytes) bytes are half received, this one is the oldest"),
                &outcome)
        }
    }

    private mutating func finish(_ key: Key, _ message: StageMessage, _ outcome: inout Outcome) {
        guard let half = open[key] else { return }
        if let flaw = half.flaw { return giveUp(key, flaw, &outcome) }
        guard !half.parts.contains(where: { $0 == nil }) else {
            return giveUp(
                key, Flaw(reason: .incomplete, text: "a chunk is not in the stream any more"), &outcome)
        }
        close(key, isWhole: true)
        outcome.message = StageMessage(
            subject: key.subject, sequence: message.sequence, firstSequence: half.sequences.first,
            timeNanoseconds: message.timeNanoseconds, contentType: half.contentType, stage: half.stage,
            isReplay: half.isReplay, payload: half.payload)
    }

    private mutating func expire(at time: UInt64, _ outcome: inout Outcome) {
        defer { earliest = deadline ?? .max }
        for key in order.inOrder {
            guard let half = open[key], deadline(of: half) <= time else { continue }
            giveUp(
                key,
                half.flaw
                    ?? Flaw(
                        reason: .incomplete, text: "\(half.number) of \(half.count) chunks came, then none for too long"
                    ),
                &outcome)
        }
    }

    private mutating func void(_ subject: String, by key: Key?, _ outcome: inout Outcome) {
        guard let half = chains[subject], half != key else { return }
        close(half, isWhole: false)
        outcome.voided += 1
    }

    private mutating func giveUp(_ key: Key, _ flaw: Flaw, _ outcome: inout Outcome) {
        guard let half = open[key], let first = half.sequences.first else { return }
        close(key, isWhole: false)
        outcome.deadLetters.append(letter(key.subject, first, half.contentType, half.payload, flaw.reason, flaw.text))
    }

    private mutating func close(_ key: Key, isWhole: Bool) {
        guard let half = open.removeValue(forKey: key) else { return }
        openBytes -= half.bytes
        order.remove(key)
        if chains[key.subject] == key { chains[key.subject] = nil }
        remember(key, isWhole: isWhole)
    }

    private mutating func remember(_ key: Key, isWhole: Bool) {
        ended[key] = isWhole
        endedOrder.append(key)
        while endedOrder.count > limits.remembered, let oldest = endedOrder.removeFirst() { ended[oldest] = nil }
    }

    private func letter(of message: StageMessage, _ reason: Reason, _ text: String) -> DeadLetter {
        letter(message.subject, message.sequence, message.contentType, message.payload, reason, text)
    }

    private func letter(
        _ subject: String, _ sequence: UInt64, _ contentType: String?, _ body: [UInt8], _ reason: Reason, _ text: String
    ) -> DeadLetter {
        let tenant =
            stream == SkeinSubjects.eventsStream
            ? SkeinSubjects.tenant(ofStoredEvents: subject) : SkeinSubjects.tenant(ofProcessed: subject)
        return DeadLetter(
            stage: stage, tenant: tenant.flatMap { SkeinSubjects.isName($0) ? $0 : nil } ?? SkeinSubjects.ownTenant,
            reason: reason.rawValue, message: text, stream: stream, subject: subject,
            position: EventReference(sequence: sequence, index: 0), contentType: contentType ?? SkeinHeaders.protobuf,
            body: body)
    }

    /// Reads `<n>/<count>` with 1 ≤ n ≤ count.
    package static func parse(_ text: String) -> (number: Int, count: Int)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int(parts[0]), let count = Int(parts[1]), number >= 1, number <= count
        else { return nil }
        return (number, count)
    }

    // MARK: Snapshot

    private static let version: UInt8 = 1

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: ChunkAssembler.version)
        writer.write(order.count)
        for key in order.inOrder {
            guard let half = open[key] else { preconditionFailure("what has an age is open") }
            writer.write(key.subject)
            writer.write(key.id)
            writer.write(half.count)
            writer.write(half.contentType) { $0.write($1) }
            writer.write(half.stage) { $0.write($1) }
            writer.write(half.isReplay ? 1 : 0)
            writer.write(half.number)
            writer.write(half.time)
            writer.write(half.bytes)
            writer.write(half.sequences.count)
            for sequence in half.sequences { writer.write(sequence) }
            writer.write(half.flaw) {
                $0.write($1.reason.rawValue)
                $0.write($1.text)
            }
        }
        writer.write(endedOrder.count)
        for key in endedOrder.inOrder {
            writer.write(key.subject)
            writer.write(key.id)
            writer.write(ended[key] == true ? 1 : 0)
        }
        return writer.bytes
    }

    /// Restores what `snapshot` wrote; what `missing` names has to be provided before the next message.
    package init(stage: String, stream: String, limits: Limits = Limits(), snapshot: [UInt8]) throws(SnapshotError) {
        self.init(stage: stage, stream: stream, limits: limits)
        var reader = try SnapshotReader(snapshot, version: ChunkAssembler.version)
        for _ in 0..<(try reader.readCount()) {
            let key = Key(subject: try reader.readText(), id: try reader.readText())
            let half = try ChunkAssembler.readOpen(&reader, isChain: SkeinSubjects.isChain(key.subject))
            guard open.updateValue(half, forKey: key) == nil else {
                throw SnapshotError("the chunks of \(key.id) are in the snapshot twice")
            }
            order.append(key)
            openBytes += half.bytes
            earliest = min(earliest, deadline(of: half))
            if half.isChain { chains[key.subject] = key }
        }
        for _ in 0..<(try reader.readCount()) {
            let key = Key(subject: try reader.readText(), id: try reader.readText())
            remember(key, isWhole: try reader.readNumber() != 0)
        }
        try reader.end()
    }

    private static func readOpen(_ reader: inout SnapshotReader, isChain: Bool) throws(SnapshotError) -> Open {
        var half = Open(
            isChain: isChain, count: try readInt(&reader),
            contentType: try reader.readOptional { reader throws(SnapshotError) in try reader.readText() },
            stage: try reader.readOptional { reader throws(SnapshotError) in try reader.readText() },
            isReplay: try reader.readNumber() != 0)
        half.number = try readInt(&reader)
        half.time = try reader.readNumber()
        half.bytes = Int(try reader.readTally())
        for _ in 0..<(try reader.readCount()) { half.sequences.append(try reader.readNumber()) }
        // Without one it could not be given up.
        if half.sequences.isEmpty { throw SnapshotError("a half message of the snapshot has no chunk") }
        half.parts = Array(repeating: nil, count: half.sequences.count)
        half.flaw = try reader.readOptional { reader throws(SnapshotError) in
            guard let reason = Reason(rawValue: try reader.readText()) else {
                throw SnapshotError("the snapshot has an unknown reason")
            }
            return Flaw(reason: reason, text: try reader.readText())
        }
        return half
    }

    private static func readInt(_ reader: inout SnapshotReader) throws(SnapshotError) -> Int {
        guard let number = Int(exactly: try reader.readNumber()) else {
            throw SnapshotError("a number of the snapshot is out of range")
        }
        return number
    }

    /// Sequences of the stream whose payloads have to be read again, in order.
    package var missing: [UInt64] {
        open.values.flatMap { half in
            zip(half.sequences, half.parts).compactMap { sequence, part in part == nil ? sequence : nil }
        }.sorted()
    }

    /// Gives back what `missing` asked for. What the stream does not have any more stays missing: its message ends as a dead letter.
    package mutating func provide(_ payload: (_ sequence: UInt64) -> [UInt8]?) {
        for (key, half) in open {
            open[key]?.parts = zip(half.sequences, half.parts).map { sequence, part in part ?? payload(sequence) }
        }
    }
}
