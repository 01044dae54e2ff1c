package import ATOF

/// A message of a stream as a stage sees it: whole, also when it was sent in chunks. Its time is the server's: stages have no clock.
package struct StageMessage: Sendable, Hashable {
    package let subject: String
    /// Where the message ends in the stream: of its last chunk when it came in several.
    package let sequence: UInt64
    /// Where it begins: what refers to the message refers to this sequence, from which it can be read again.
    package let firstSequence: UInt64
    /// When the server stored the message, nanoseconds since 1970.
    package let timeNanoseconds: UInt64
    /// The header `Content-Type`; nil when there is none.
    package let contentType: String?
    /// The only stage that may take the message, of a replayed dead letter; nil for all.
    package let stage: String?
    /// Whether it is a replayed dead letter, as the header `Skein-Replay-Of` says.
    package let isReplay: Bool
    package let payload: [UInt8]

    package init(
        subject: String, sequence: UInt64, firstSequence: UInt64? = nil, timeNanoseconds: UInt64, contentType: String?,
        stage: String? = nil, isReplay: Bool = false, payload: [UInt8]
    ) {
        self.subject = subject
        self.sequence = sequence
        self.firstSequence = firstSequence ?? sequence
        self.timeNanoseconds = timeNanoseconds
        self.contentType = contentType
        self.stage = stage
        self.isReplay = isReplay
        self.payload = payload
    }

    /// Whether it only says that time has passed: the owner of a task with timers publishes it into a partition that is idle.
    package var isTick: Bool { payload.isEmpty && SkeinSubjects.isTick(subject) }
}

/// Something that could not be processed or delivered, in its original bytes.
package struct DeadLetter: Sendable, Hashable {
    package let stage: String
    /// `_` when the tenant cannot be told.
    package let tenant: String
    /// A word of a small set, for counters.
    package let reason: String
    /// What is wrong and where, in a sentence; never a payload.
    package let message: String
    /// Where the bytes come from.
    package let stream: String
    package let subject: String
    package let position: EventReference
    package let contentType: String
    /// What was wrong, as a message of type `contentType`: of a batch's event a batch of that event alone, of a line the line. So it can
    /// be published again as it is.
    package let body: [UInt8]
    /// Of a trajectory: the name under which stores keep it, and which of its revisions this is.
    package var file: String?
    package var revision: UInt64?

    package init(
        stage: String, tenant: String, reason: String, message: String, stream: String, subject: String,
        position: EventReference,
        contentType: String, body: [UInt8]
    ) {
        self.stage = stage
        self.tenant = tenant
        self.reason = reason
        self.message = message
        self.stream = stream
        self.subject = subject
        self.position = position
        self.contentType = contentType
        self.body = body
    }

    /// The same for the same letter, so that the broker drops a second copy inside its dedupe window.
    package var id: String { "\(stage)/\(stream)/\(position)/\(reason)" }
}
