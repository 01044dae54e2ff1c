/// A line of a producer, read.
package enum ReadLine: Sendable {
    case read([UInt8], IngestLine)
    /// It was thrown away as it came.
    case tooLong(bytes: Int)

    package init(_ line: LineSplitter.Line) {
        switch line {
        case .line(let bytes): self = .read(bytes, IngestLine(bytes))
        case .tooLong(let bytes): self = .tooLong(bytes: bytes)
        }
    }

    /// A JSON body: one event, which may have line breaks in it, or lines of events under another name.
    package static func document(_ bytes: [UInt8], maximumLineBytes: Int) -> [ReadLine] {
        let whole = IngestLine(bytes)
        guard case .invalid = whole else { return [.read(bytes, whole)] }
        var splitter = LineSplitter(maximumBytes: maximumLineBytes)
        var lines = bytes.withUnsafeBytes { splitter.receive($0) }
        // Of one line nothing else would come out.
        guard !lines.isEmpty else { return [.read(bytes, whole)] }
        if let last = splitter.finish() { lines.append(last) }
        let read = lines.map(ReadLine.init)
        return read.contains(where: \.isGood) ? read : [.read(bytes, whole)]
    }

    private var isGood: Bool {
        switch self {
        case .read(_, .event), .read(_, .probe): true
        case .read, .tooLong: false
        }
    }
}
