/// Which stage works on which partition.
package struct TaskKey: Sendable, Hashable, CustomStringConvertible {
    package let stage: String
    package let partition: Int

    package init(stage: String, partition: Int) {
        self.stage = stage
        self.partition = partition
    }

    /// As it stands in the bucket.
    package var description: String { "task.\(stage).\(partition)" }
}

/// The head record of a task: who owns it, and how far everything is delivered.
package struct TaskRecord: Sendable, Hashable, Codable {
    /// Counts the owners. An owner writes it before it reads, so that its predecessor's next compare fails.
    package var epoch: UInt64
    /// The member that has the task; empty when it was released.
    package var owner: String
    /// Changes with every write: an owner whose answer was lost recognises its own.
    package var nonce: String
    /// Everything up to this stream sequence is delivered.
    package var position: UInt64
    /// When the server stored the message at `position`, nanoseconds since 1970: another time there is another message. Nil before any.
    package var positionTime: Int64?
    /// The lowest sequence that the snapshot refers to; the stream must keep it.
    package var keepFrom: UInt64
    /// Creation time of the stream, nanoseconds: another one is another stream.
    package var streamCreated: Int64
    package var snapshot: Snapshot?

    package struct Snapshot: Sendable, Hashable, Codable {
        package var epoch: UInt64
        package var generation: UInt64
        package var chunks: Int
        package var bytes: Int
    }
}

/// Somebody else owns the task now: whoever sees this stops at once.
package struct FencedError: Error, Sendable, CustomStringConvertible {
    package let key: TaskKey

    package var description: String { "another collector has taken over \(key)" }
}
