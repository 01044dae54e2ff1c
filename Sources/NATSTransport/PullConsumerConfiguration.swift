/// What a pull consumer reads, from where, and how much it asks for ahead.
package struct PullConsumerConfiguration: Sendable {
    package var stream: String
    /// The start of the consumer's name on the server; `-<generation>` follows. Put stage, partition and epoch in it:
    /// names of two owners must differ.
    package var namePrefix: String
    /// Which subjects to read; all if empty. Several need nats-server 2.10.
    package var filterSubjects: [String]
    /// The first stream sequence to read.
    package var startSequence: UInt64
    /// Whether the server leaves the bodies out.
    package var headersOnly = false
    /// Bytes of the smallest and the largest pull: it grows while pulls come back full, and shrinks when one comes back
    /// empty.
    package var minimumPull = 64 << 10
    package var maximumPull = 1 << 20
    /// Bytes that it asks for or holds at most, if the budget has them.
    package var window = 4 << 20
    /// How long a pull waits on the server.
    package var expires = Duration.seconds(30)
    /// The server says that it lives after so much silence; after two and a half of them the consumer is made anew.
    package var heartbeat = Duration.seconds(2)
    /// The server removes a consumer that nobody pulled from for so long.
    package var inactiveThreshold = Duration.seconds(60)

    /// When the stream was created, if the owner knows it: reading ends when it is another one. Otherwise the first one
    /// that is found counts.
    package var streamCreated: Int64?
    /// When the message before `startSequence` was stored, if the owner knows it: reading ends when the stream holds
    /// another one there.
    package var previousTime: Int64?

    package init(stream: String, namePrefix: String, filterSubjects: [String], startSequence: UInt64) {
        self.stream = stream
        self.namePrefix = namePrefix
        self.filterSubjects = filterSubjects
        self.startSequence = startSequence
    }
}
