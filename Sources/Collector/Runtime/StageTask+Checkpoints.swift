internal import NATSTransport

extension StageTask {
    /// Takes a snapshot when it is time, and writes the one that waits when everything before it is delivered.
    func checkpointIfDue(now: Bool = false) async throws {
        guard let worker, let store, !isCheckpointing else { return }
        isCheckpointing = true
        defer { isCheckpointing = false }
        if pending == nil, !isReceiving, received > checkpointed, now || isSnapshotDue {
            let (position, time) = (received, receivedTime)
            let snapshotting = Task { await worker.snapshot() }
            self.snapshotting = snapshotting
            pending = (position, time, await snapshotting.value)
            self.snapshotting = nil
            (lastSnapshot, messagesSinceSnapshot) = (.now, 0)
        }
        guard let (position, time, snapshot) = pending, await worker.confirmed() >= position else { return }
        let bytes = await worker.sealed(snapshot, at: position)
        try await store.checkpoint(
            position: position, time: time, keepFrom: min(snapshot.oldestReference ?? .max, position + 1),
            snapshot: bytes)
        pending = nil
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
