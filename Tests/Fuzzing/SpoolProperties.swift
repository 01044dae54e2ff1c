internal import ATOF
internal import AgentPublishing

enum SpoolProperties {
    /// A file as a publisher leaves it, and the body of one record.
    static func seeds(from log: EventLog) -> [[UInt8]] {
        let batch = SealedBatch(
            tenant: "acme", key: EventUUID(high: 1, low: 2), producer: "agentkit-1.1", sequence: 1,
            events: log.events.count, bytes: log.batch)
        var file: [UInt8] = [0]
        SpoolRecord.append(batch, to: &file)
        let body = file[(1 + SpoolRecord.headerSize)...]
        SpoolRecord.append(batch, to: &file)
        return [file, [1] + body]
    }

    /// What is read as a record is one: it lies within the bytes, and is written and read as the same.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        guard let first = input.first else { return }
        var file = Array(input.dropFirst())
        if first % 2 == 1 {
            // Anything at all as a body, with the length and checksum that belong to it.
            let checksum = file.withUnsafeBytes { CRC32C.checksum($0) }
            file = bytes(of: UInt32(file.count)) + bytes(of: checksum) + file
        }
        var offset = 0
        while offset < file.count {
            let rest = file[offset...]
            let reading = rest.withUnsafeBytes { SpoolRecord.read($0) }
            switch reading {
            case .damaged: return
            case .incomplete(let needed):
                return try FuzzFailure.unless(needed > rest.count, "\(rest.count) bytes are said to be too few")
            case .record(let batch, let size):
                try FuzzFailure.unless(size > 0 && size <= rest.count, "a record of \(size) in \(rest.count) bytes")
                let peeked = rest.withUnsafeBytes { SpoolRecord.peek($0) }
                try FuzzFailure.unless(
                    peeked?.size == size && peeked?.events == batch.events, "the prefix says something else")
                try checkRoundTrip(batch)
                offset += size
            }
        }
    }

    private static func checkRoundTrip(_ batch: SealedBatch) throws(FuzzFailure) {
        // Names that are no UTF-8 are repaired, and longer then.
        guard batch.tenant.utf8.count <= 255, batch.producer.utf8.count <= 255 else { return }
        var written: [UInt8] = []
        SpoolRecord.append(batch, to: &written)
        try FuzzFailure.unless(written.count == SpoolRecord.size(of: batch), "a record has another size than it says")
        let again = written.withUnsafeBytes { SpoolRecord.read($0) }
        try FuzzFailure.unless(again == .record(batch, size: written.count), "a record is not read as it was written")
    }

    private static func bytes(of number: UInt32) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
}
