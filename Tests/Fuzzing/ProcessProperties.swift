internal import ATOF
internal import Stages

enum ProcessProperties {
    /// Every event that comes in is passed on, a duplicate or a dead letter, and what is passed on can be read.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        guard let first = input.first else { return }
        var machine = ProcessMachine(partitioning: Partitioning(count: 4), maximumEventBytes: 4096)
        for sequence in 1...2 as ClosedRange<UInt64> {
            let outcome = machine.receive(
                StageMessage(
                    subject: "skein.v1.events.0.t.key", sequence: sequence, timeNanoseconds: sequence,
                    contentType: contentTypes[Int(first) % contentTypes.count], payload: Array(input.dropFirst())))
            let counts = outcome.counts
            try FuzzFailure.unless(
                counts.received == counts.processed + counts.duplicates + counts.deadLettered, "unbalanced: \(counts)")
            try FuzzFailure.unless(counts.deadLettered == outcome.deadLetters.count, "a dead letter is not counted")
            var passedOn = 0
            for piece in outcome.pieces {
                let readable = try EventProperties.check(batch: piece.frames.bytes)
                try FuzzFailure.unless(readable == piece.frames.count, "an event that was passed on cannot be read")
                passedOn += readable
            }
            try FuzzFailure.unless(passedOn == counts.processed, "an event is not counted")
        }
        let snapshot = machine.snapshot()
        guard let restored = try? ProcessMachine(partitioning: Partitioning(count: 4), snapshot: snapshot) else {
            throw FuzzFailure("a snapshot cannot be restored")
        }
        try FuzzFailure.unless(restored.snapshot() == snapshot, "a restart changes the snapshot")
    }

    private static let contentTypes = [SkeinHeaders.protobuf, SkeinHeaders.jsonLines, SkeinHeaders.json, "text/plain"]
}
