internal import ATOF
internal import Ingest

enum IngestProperties {
    private static let maximumLineBytes = 2000

    static func seeds(from recording: [UInt8]) -> [[UInt8]] {
        let dotless = #"{"otel_status_code":"OK","error_type":"x","nemo_relay_log_severity":"warn"}"#
        let mark =
            #"{"atof_version":"0.1","kind":"mark","uuid":"0190f6a0-0000-7000-8000-000000000001","parent_uuid":null,"#
            + #""timestamp":"2026-01-01T00:00:00Z","name":"m","metadata":"# + dotless + "}\n"
        return [
            [0] + recording, [16] + recording, [2] + Array(mark.utf8) + recording.prefix(500), [0] + Array(mark.utf8),
        ]
    }

    /// Pieces change nothing, no byte is lost, and what is an event can be stored.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let lines = split(bytes, by: Int(first & 15) + 1)
        try FuzzFailure.unless(lines == split(bytes, by: max(1, bytes.count)), "in pieces other lines come out")
        let parts = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        // Behind the last newline there is a line if something is there.
        let expected = (parts.last?.isEmpty ?? true ? parts.dropLast() : parts[...]).map { part in
            part.count > maximumLineBytes ? LineSplitter.Line.tooLong(bytes: part.count) : .line(part)
        }
        try FuzzFailure.unless(lines == expected, "lines are lost or changed")
        for line in lines {
            if case .read(let bytes, let read) = ReadLine(line) { try check(read, bytes) }
        }
        if bytes.count <= maximumLineBytes {
            for case .read(let line, let read) in ReadLine.document(bytes, maximumLineBytes: maximumLineBytes) {
                try check(read, line)
            }
        }
    }

    private static func split(_ bytes: [UInt8], by size: Int) -> [LineSplitter.Line] {
        var splitter = LineSplitter(maximumBytes: maximumLineBytes)
        var lines: [LineSplitter.Line] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { lines += splitter.receive($0) }
        }
        if let last = splitter.finish() { lines.append(last) }
        return lines
    }

    private static func check(_ line: IngestLine, _ bytes: [UInt8]) throws(FuzzFailure) {
        guard case .event(let fields, let hasRestoredKeys) = line else { return }
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        try FuzzFailure.unless(try EventProperties.check(batch: writer.bytes) == 1, "an event cannot be read again")
        guard let sent = try? EventJSONDecoder.decode(bytes) else { throw FuzzFailure("an event is none") }
        guard hasRestoredKeys else {
            return try FuzzFailure.unless(fields.metadata == sent.metadata, "metadata changed without a word")
        }
        guard let before = try? JSONParser.parse(sent.metadata), let after = try? JSONParser.parse(fields.metadata)
        else {
            // Repaired later, as it was sent.
            return
        }
        guard let before = before.objectValue, let after = after.objectValue, before.count == after.count else {
            throw FuzzFailure("keys came back, and metadata is another")
        }
        for (key, value) in before.members.map({ ($0.key, $0.value) }) {
            try FuzzFailure.unless(!key.contains("."), "\(key) had a dot already")
            let found = after[key] ?? DottedKeys.known[key].flatMap { after[$0] }
            try FuzzFailure.unless(found == value, "\(key) changed")
        }
    }
}
