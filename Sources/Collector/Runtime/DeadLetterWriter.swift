internal import ATOF
internal import Foundation
package import Logging
package import NATSTransport
package import Stages

/// Publishes dead letters to `SKEIN_DEAD`, counts them, and says so in the log.
package struct DeadLetterWriter: Sendable {
    private let jetStream: JetStream
    private let metrics: Metrics
    private let logger: Logger
    private let throttle: LogThrottle

    /// - Parameter throttle: the process's, so that many tasks of a stage do not say the same.
    package init(_ jetStream: JetStream, _ metrics: Metrics, _ logger: Logger, _ throttle: LogThrottle = LogThrottle())
    {
        self.jetStream = jetStream
        self.metrics = metrics
        self.logger = logger
        self.throttle = throttle
    }

    /// Returns once the broker has the letter; repeats while the broker is away, because what is not stored here would be lost.
    package func write(_ letter: DeadLetter) async throws {
        var headers: NATSHeaders = [
            SkeinHeaders.reason: letter.reason,
            SkeinHeaders.error: DeadLetterWriter.headerText(letter.message),
            SkeinHeaders.originalStream: letter.stream,
            SkeinHeaders.originalSubject: letter.subject,
            SkeinHeaders.originalSequence: String(letter.position.sequence),
            SkeinHeaders.eventIndex: String(letter.position.index),
            SkeinHeaders.contentType: DeadLetterWriter.headerText(letter.contentType),
        ]
        headers[SkeinHeaders.file] = letter.file
        headers[SkeinHeaders.revision] = letter.revision.map { String($0) }
        let subject = SkeinSubjects.dead(stage: letter.stage, tenant: letter.tenant)
        // A body as large as the server allows does not fit again with these headers, of which the subject may have 4 KiB: it goes in
        // two parts.
        let limit = max(1024, jetStream.connection.maxPayload - 16_384)
        let parts = max(1, (letter.body.count + limit - 1) / limit)
        for part in 0..<parts {
            headers[SkeinHeaders.messageID] = parts == 1 ? letter.id : "\(letter.id)/\(part + 1)"
            if parts > 1 {
                headers[SkeinHeaders.chunk] = "\(part + 1)/\(parts)"
                headers[SkeinHeaders.chunkID] = letter.id
            }
            let body = Array(letter.body[(part * limit)..<min((part + 1) * limit, letter.body.count)])
            try await jetStream.publishUntilStored(subject: subject, headers: headers, payload: body)
        }
        metrics.add("skein_dead_letters_total", 1, ["stage": letter.stage, "reason": letter.reason])
        if let others = throttle.admit("\(letter.stage) \(letter.reason)") {
            logger.warning(
                "dead letter; skein dead list shows all of them",
                metadata: [
                    "stage": "\(letter.stage)", "tenant": "\(letter.tenant)", "reason": "\(letter.reason)",
                    "error": "\(DeadLetterWriter.headerText(letter.message))", "not_logged": "\(others)",
                ])
        }
    }

    /// One line of printable text.
    private static func headerText(_ text: String) -> String {
        String(text.prefix(500).map { $0.isNewline || ($0.asciiValue ?? 32) < 32 ? " " : $0 })
    }
}

extension JetStream {
    /// Publishes again and again until the stream has the message or refuses it for good.
    func publishUntilStored(subject: String, headers: NATSHeaders, payload: [UInt8]) async throws {
        var pause = Duration.milliseconds(50)
        while let error = await failure(subject: subject, headers: headers, payload: payload) {
            guard error.isTemporary else { throw error }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(2))
        }
    }

    private func failure(subject: String, headers: NATSHeaders, payload: [UInt8]) async -> NATSError? {
        do throws(NATSError) {
            _ = try await publish(subject: subject, headers: headers, payload: payload)
            return nil
        } catch {
            return error
        }
    }
}
