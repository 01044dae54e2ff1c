public import NATSTransport

/// What a publisher needs to know. Every value but the broker's URLs has a default that suits an agent in production.
public struct PublisherConfiguration: Sendable {
    /// How the agent proves to the broker who it is.
    public typealias Authentication = NATSOptions.Authentication
    /// PEM files for encrypted connections; `tls://` URLs need none when the system knows the authority.
    public typealias TLS = NATSOptions.TLS

    /// What happens to an event for which there is no room in memory.
    public enum WhenFull: Sendable {
        /// The oldest events are given up and counted. The collector sees the gap in the producer's numbers.
        case dropOldest
        /// Who appends waits so long at most; then the new event is given up and counted. It blocks the thread.
        case block(atMost: Duration)
    }

    /// A directory for events that the broker cannot take now.
    public struct Spool: Sendable {
        /// When events go to disk.
        public enum Mode: Sendable {
            /// Events go to disk while the broker is away and when half of the memory is taken.
            case whenNeeded
            /// Every event is on disk before it is sent.
            case always
        }

        /// When what was written is forced to the disk, which matters when the machine loses power: a process that is killed loses
        /// nothing that was written.
        public enum Sync: Sendable {
            /// After every write, before anything of it is sent.
            case always
            /// So long after the last time, and at the end of a file.
            case interval(Duration)
            /// When the system does it.
            case never
        }

        /// Is created. Any number of processes may share it: each has a folder of its own in it, and takes over those of dead ones.
        public var directory: String
        /// When events go to disk.
        public var mode: Mode
        /// Of this process, with what it took over. When they are full, the oldest events go, or with `.block` none is written.
        public var maximumBytes: Int
        /// When what was written is forced to the disk.
        public var sync: Sync

        /// Takes the directory; everything else has a default.
        public init(
            directory: String, mode: Mode = .whenNeeded, maximumBytes: Int = 1 << 30,
            sync: Sync = .interval(.seconds(1))
        ) {
            self.directory = directory
            self.mode = mode
            self.maximumBytes = maximumBytes
            self.sync = sync
        }
    }

    /// `nats://` or `tls://` URLs of the broker.
    public var urls: [String]
    /// How the agent proves who it is.
    public var authentication = Authentication.none
    /// Encryption with files of one's own.
    public var tls: TLS?
    /// Between attempts to reconnect, which never end.
    public var reconnectWait = Duration.seconds(1)

    /// The tenant that the events belong to: a-z, 0-9, _ and -, 64 at most.
    public var tenant = "default"
    /// Begins the name under which the collector lists what is missing of this process: letters, digits, -, _ and ., 64 at most.
    public var producer = "agentkit"

    /// How long an event waits for others.
    public var delay = Duration.milliseconds(10)
    /// Events of a message, at most.
    public var batchEvents = 256
    /// Bytes of a message, about, at most.
    public var batchBytes = 256 << 10
    /// A larger event is given up and counted: more than half of `memoryBytes` never counts, which is 16 MiB as long as both have their
    /// defaults. One that is larger than a message goes in chunks.
    public var maximumEventBytes = 64 << 20

    /// Bytes in memory, whether they wait, are on their way or come from disk.
    public var memoryBytes = 32 << 20
    /// Events in memory, without those that come from disk.
    public var memoryEvents = 100_000
    /// What happens when that is not enough.
    public var whenFull = WhenFull.dropOldest
    /// Where events go while the broker is away; nil keeps them in memory.
    public var spool: Spool?

    /// How long a graceful shutdown waits for the broker, unless everything is on disk.
    public var shutdownTimeout = Duration.seconds(10)
    /// Whether `run` throws when the broker refuses the credentials. Otherwise that is logged and tried again, because an agent should
    /// not end for it.
    public var throwsWhenRefused = false

    /// Takes the broker's URLs; everything else has a default.
    public init(urls: [String]) { self.urls = urls }
}
