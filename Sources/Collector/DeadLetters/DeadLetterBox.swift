internal import ATOF
internal import Foundation
package import NATSTransport
internal import Stages

/// Reads, replays and removes what is in `SKEIN_DEAD`.
package struct DeadLetterBox: Sendable {
    let jetStream: JetStream

    package init(_ jetStream: JetStream) { self.jetStream = jetStream }

    /// How many messages the stream holds, of all letters.
    package func messages() async throws -> UInt64 {
        try await jetStream.streamInfo(SkeinSubjects.deadStream).messages
    }

    /// Calls the body with every letter that matches and is stored now, the oldest first, until it returns false.
    ///
    /// One letter is held at a time, and the parts of those that are stored in between.
    package func forEach(_ filter: DeadLetterFilter, _ body: (StoredLetter) async throws -> Bool) async throws {
        guard
            let last = try await jetStream.lastMessage(
                stream: SkeinSubjects.deadStream, subject: filter.subject, fromLeader: true)
        else { return }
        let reading = PullConsumerConfiguration(
            stream: SkeinSubjects.deadStream, namePrefix: "skein-dead-\(UUID().uuidString)",
            filterSubjects: [filter.subject], startSequence: 1)
        let consumer = try PullConsumer(jetStream, reading, budget: PrefetchBudget(total: 16 << 20)) { true }
        do {
            try await read(consumer, upTo: last.sequence, filter, body)
        } catch {
            await consumer.stop()
            throw error
        }
        await consumer.stop()
    }

    private func read(
        _ consumer: PullConsumer, upTo last: UInt64, _ filter: DeadLetterFilter,
        _ body: (StoredLetter) async throws -> Bool
    ) async throws {
        var parts = LetterParts()
        var position: UInt64 = 0
        while position < last {
            for message in try await consumer.next(max: 64) {
                // The last one may have been removed meanwhile: then none comes with its number.
                position = message.pending == 0 ? last : message.sequence
                guard message.sequence <= last, let letter = parts.add(message), filter.matches(letter) else {
                    continue
                }
                guard try await body(letter) else { return }
            }
        }
        for letter in parts.incomplete where filter.matches(letter) {
            guard try await body(letter) else { return }
        }
    }

    /// The letter that begins at a sequence, or has a part there.
    package func letter(at sequence: UInt64) async throws -> StoredLetter? {
        guard
            let message = try await jetStream.message(stream: SkeinSubjects.deadStream, sequence: sequence)
        else { return nil }
        let tokens = message.subject.split(separator: ".").map(String.init)
        guard tokens.count == 5 else { return nil }
        var found: StoredLetter?
        try await forEach(DeadLetterFilter(stage: tokens[3], tenant: tokens[4])) { letter in
            if letter.sequences.contains(sequence) { found = letter }
            return found == nil
        }
        return found
    }

    /// Removes a letter with all its parts.
    package func remove(_ letter: StoredLetter) async throws {
        for sequence in letter.sequences {
            try await jetStream.deleteMessage(stream: SkeinSubjects.deadStream, sequence: sequence)
        }
    }

    /// Sends a letter the normal way again: to EVENTS, or of a stage behind it to that stage only. Returns when it is stored.
    ///
    /// - Parameter attempt: another one for each replay that shall count.
    /// - Returns: why that cannot be done; nil when it is done.
    package func replay(_ letter: StoredLetter, attempt: Int) async throws -> String? {
        if letter.isIncomplete { return "parts of it are missing" }
        if StageName.isStore(letter.stage) { return try await replayToStore(letter, attempt: attempt) }
        var headers: NATSHeaders = [
            SkeinHeaders.contentType: letter.contentType,
            SkeinHeaders.replayOf: String(letter.sequence),
        ]
        let subject: String
        if letter.stage == "process" {
            // Also of one that was too large: its letter ends where the bound was passed.
            if ChunkAssembler.Reason(rawValue: letter.reason) != nil {
                return "it is a part of an event that never came whole"
            }
            guard let tenant = SkeinSubjects.tenant(ofStoredEvents: letter.subject), SkeinSubjects.isTenant(tenant),
                let key = SkeinSubjects.key(ofStoredEvents: letter.subject)
            else { return "its subject \(letter.subject) names no tenant and key" }
            subject = SkeinSubjects.events(tenant: tenant, key: key)
        } else {
            guard let partition = SkeinSubjects.partition(ofProcessed: letter.subject),
                let tenant = SkeinSubjects.tenant(ofProcessed: letter.subject), SkeinSubjects.isName(tenant)
            else { return "its subject \(letter.subject) names no tenant and partition" }
            subject = SkeinSubjects.replay(tenant: tenant, partition: partition)
            headers[SkeinHeaders.stage] = letter.stage
        }
        try await send(letter, subject, headers, attempt)
        return nil
    }

    private func send(_ letter: StoredLetter, _ subject: String, _ headers: NATSHeaders, _ attempt: Int) async throws {
        let limit = max(1024, jetStream.connection.maxPayload - 8192)
        let count = max(1, (letter.body.count + limit - 1) / limit)
        let id = "replay/\(letter.sequence)/\(attempt)"
        for number in 0..<count {
            var headers = headers
            headers[SkeinHeaders.messageID] = count == 1 ? id : "\(id)/\(number + 1)"
            if count > 1 {
                headers[SkeinHeaders.chunk] = "\(number + 1)/\(count)"
                headers[SkeinHeaders.chunkID] = id
            }
            let part = Array(letter.body[(number * limit)..<min((number + 1) * limit, letter.body.count)])
            let lanes = PublishLanes(jetStream)
            try await lanes.send([LaneMessage(subject: subject, headers: headers, payload: part)], key: subject)
            try await lanes.finish()
        }
    }
}

/// Puts letters together that were stored in parts.
private struct LetterParts {
    private var open: [String: [JetStreamMessage]] = [:]

    mutating func add(_ message: JetStreamMessage) -> StoredLetter? {
        guard let text = message.headers[SkeinHeaders.chunk], let (number, count) = ChunkAssembler.parse(text) else {
            return LetterParts.letter([message], isIncomplete: false)
        }
        let id = message.headers[SkeinHeaders.chunkID] ?? message.subject
        // A letter that was written again begins anew.
        if number == 1 { open[id] = [] }
        let wanted = (open[id]?.count ?? 0) + 1
        guard number == wanted else { return number < wanted ? nil : LetterParts.letter([message], isIncomplete: true) }
        open[id, default: []].append(message)
        guard number == count, let parts = open.removeValue(forKey: id) else { return nil }
        return LetterParts.letter(parts, isIncomplete: false)
    }

    /// What ends in the middle, the oldest first.
    var incomplete: [StoredLetter] {
        open.values.compactMap { LetterParts.letter($0, isIncomplete: true) }.sorted { $0.sequence < $1.sequence }
    }

    private static func letter(_ parts: [JetStreamMessage], isIncomplete: Bool) -> StoredLetter? {
        guard let first = parts.first else { return nil }
        let tokens = first.subject.split(separator: ".").map(String.init)
        let headers = first.headers
        return StoredLetter(
            sequence: first.sequence, sequences: parts.map(\.sequence), time: first.timestampNanos,
            stage: tokens.count > 3 ? tokens[3] : "", tenant: tokens.count > 4 ? tokens[4] : "",
            reason: headers[SkeinHeaders.reason] ?? "", error: headers[SkeinHeaders.error] ?? "",
            stream: headers[SkeinHeaders.originalStream] ?? "", subject: headers[SkeinHeaders.originalSubject] ?? "",
            position: "\(headers[SkeinHeaders.originalSequence] ?? "").\(headers[SkeinHeaders.eventIndex] ?? "")",
            contentType: headers[SkeinHeaders.contentType] ?? "", file: headers[SkeinHeaders.file],
            revision: headers[SkeinHeaders.revision].flatMap { UInt64($0) }, isIncomplete: isIncomplete,
            body: parts.flatMap(\.payload))
    }
}
