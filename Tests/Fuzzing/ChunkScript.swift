internal import ATOF
internal import Stages

/// Bytes as a script for the chunk assembler. Each step takes four: what comes, its number, its count, and how much time has passed.
enum ChunkScript {
    private struct Step {
        let subject: String
        let chunk: String?
        let id: String?
        let isRestart: Bool
        let seconds: UInt64

        init(_ bytes: ArraySlice<UInt8>) {
            let bytes = Array(bytes)
            subject =
                bytes[0] & 1 == 0
                ? "skein.v1.events.3.t.key-\(bytes[0] >> 6)"
                : SkeinSubjects.processed(tenant: "t", partition: 1, source: 2)
            let number = Step.number(bytes[1])
            chunk = bytes[0] & 2 == 0 ? "\(number)/\(Step.number(bytes[2]))" : bytes[1] & 1 == 0 ? nil : "\(number)/x"
            id = bytes[0] & 12 == 12 ? nil : "message-\(bytes[0] >> 2 & 3)"
            isRestart = bytes[0] & 32 != 0
            seconds = UInt64(bytes[3])
        }

        private static func number(_ byte: UInt8) -> Int {
            switch byte {
            case 255: Int.max
            case 254: 65_537
            default: Int(byte & 7)
            }
        }
    }

    static let seeds: [[UInt8]] = [
        [0, 1, 3, 0, 0, 2, 3, 1, 0, 3, 3, 1],
        [0, 1, 3, 0, 4, 1, 2, 1, 32, 2, 3, 1, 4, 2, 2, 0, 0, 3, 3, 0],
        [1, 1, 2, 0, 1, 2, 2, 70, 5, 1, 3, 200, 33, 2, 3, 0, 2, 0, 0, 0],
        [0, 1, 255, 0, 0, 255, 255, 0, 0, 1, 254, 0, 0, 2, 3, 255],
    ]

    /// No chunk is lost, and a restart changes nothing.
    static func check(_ script: [UInt8]) throws(FuzzFailure) {
        var limits = ChunkAssembler.Limits()
        (limits.maximumBytes, limits.openBytes, limits.openMessages, limits.remembered) = (40, 60, 3, 4)
        var assembler = ChunkAssembler(stage: "process", stream: SkeinSubjects.eventsStream, limits: limits)
        var payloads: [UInt64: [UInt8]] = [:]
        var time: UInt64 = 0
        for start in stride(from: 0, to: script.count - 3, by: 4) {
            let step = Step(script[start..<start + 4])
            let sequence = UInt64(start / 4 + 1)
            time += step.seconds * 1_000_000_000
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: Int(sequence % 20) + 1)
            payloads[sequence] = payload
            if step.isRestart {
                let before = assembler.snapshot()
                guard
                    var restored = try? ChunkAssembler(
                        stage: "process", stream: SkeinSubjects.eventsStream, limits: limits, snapshot: before)
                else { throw FuzzFailure("a snapshot cannot be restored") }
                restored.provide { payloads[$0] }
                try FuzzFailure.unless(restored.snapshot() == before, "a restart changes the snapshot")
                assembler = restored
            }
            let message = StageMessage(
                subject: step.subject, sequence: sequence, timeNanoseconds: time, contentType: nil, payload: payload)
            let outcome = assembler.receive(message, chunk: step.chunk, id: step.id)
            for letter in outcome.deadLetters {
                try FuzzFailure.unless(!letter.body.isEmpty, "a dead letter lost its chunks")
            }
            try FuzzFailure.unless(assembler.missing.isEmpty, "a payload that was provided is missing")
            try FuzzFailure.unless(assembler.openCount <= limits.openMessages, "more is half received than allowed")
        }
    }
}
