internal import NATSTransport
internal import Stages

extension StageTask {
    /// A snapshot that waits for everything before it to be delivered.
    struct Pending: Sendable {
        let position: UInt64
        /// When the server stored the message there.
        let time: Int64?
        let chunks: [UInt8]
        let worker: StageSnapshot
        /// The lowest sequence that it refers to.
        let oldest: UInt64
    }

    /// Takes a snapshot when it is time, and writes the one that waits when everything before it is delivered.
    func checkpointIfDue(now: Bool = false) async throws {
        guard let worker, let store, !isCheckpointing else { return }
        isCheckpointing = true
        defer { isCheckpointing = false }
        if pending == nil, !isReceiving, received > checkpointed, now || isSnapshotDue {
            // Before anything is waited for: the next message may be read as soon as the worker's part is taken.
            let (position, time) = (received, receivedTime)
            let (halves, oldest) = (chunks.snapshot(), min(chunks.oldestReference ?? .max, position + 1))
            let snapshotting = Task { await worker.snapshot() }
            self.snapshotting = snapshotting
            let snapshot = await snapshotting.value
            pending = Pending(
                position: position, time: time, chunks: halves, worker: snapshot,
                oldest: min(snapshot.oldestReference ?? .max, oldest))
            self.snapshotting = nil
            (lastSnapshot, messagesSinceSnapshot) = (.now, 0)
        }
        guard let pending, await confirmed(worker) >= pending.position else { return }
        let position = pending.position
        let bytes = TaskSnapshot(chunks: pending.chunks, worker: await worker.sealed(pending.worker, at: position))
            .bytes
        try await store.checkpoint(
            position: position, time: pending.time, keepFrom: pending.oldest, snapshot: bytes)
        self.pending = nil
        checkpointed = position
        snapshotBytes = bytes.count
        let labels: KeyValuePairs = ["stage": key.stage, "partition": String(key.partition)]
        environment.metrics.add("skein_task_checkpoints_total", 1, ["stage": key.stage])
        environment.metrics.set("skein_task_position_sequence", Double(position), labels)
        environment.metrics.set("skein_task_snapshot_bytes", Double(bytes.count), labels)
    }

    /// After the interval, or after so many messages; a large snapshot is written less often, so that writing it takes a small part of the
    /// time.
    private var isSnapshotDue: Bool {
        let elapsed = lastSnapshot.duration(to: .now)
        let rest = Duration.seconds(snapshotBytes) / environment.snapshotBytesPerSecond
        guard elapsed >= rest else { return false }
        return elapsed >= environment.checkpointInterval
            || messagesSinceSnapshot >= environment.checkpointMessages
    }
}
