internal import Projections

/// A part of Skein that reads what others wrote, and what has to hold whatever they wrote.
package enum FuzzTarget: String, Sendable, CaseIterable {
    /// JSON text to values and back.
    case json
    /// One line of ATOF JSON.
    case eventLine = "event-line"
    /// A packed batch of events.
    case eventBatch = "event-batch"
    /// Messages in chunks; the input is a script of what comes.
    case chunks
    /// Snapshots of every pure machine; the first byte says of which.
    case snapshots
    /// The `process` machine; the first byte says of which content type the message is.
    case process
    /// Provider bodies and annotations.
    case codecs
    /// The text of a provider's stream.
    case streams
    /// A pricing catalogue, in the first line, and usage.
    case pricing
    /// A tool call that may load a skill: its name in the first line, its arguments.
    case skills
    case full
    case genAI = "gen_ai"
    case openinference
    case logs, metrics
    /// The document of a manual exporter.
    case atif
    /// The dispatcher and the tolerant assembler, with their documents.
    case assembler
    /// What a client sends over a WebSocket, behind a byte for the size of its pieces.
    case webSocket = "web-socket"
    /// The body of an upload, behind a byte for the size of its pieces.
    case ingestLines = "ingest-lines"
    /// A template in the first line, metadata in the rest.
    case fileNames = "file-names"
    /// A regular expression in the first line, a text in the rest.
    case patterns
    /// A JSON Schema in the first line, a document in the rest.
    case schemas
    /// A file of a publisher's spool, or the body of one of its records; the first byte says which.
    case spool

    /// Does with the input what the collector would.
    ///
    /// - Throws: `FuzzFailure` when something is wrong with what came out. Whatever else goes wrong ends the process.
    package func run(_ input: [UInt8]) throws(FuzzFailure) {
        switch self {
        case .json: try JSONProperties.check(input)
        case .eventLine: try EventProperties.check(line: input)
        case .eventBatch: try EventProperties.check(batch: input)
        case .chunks: try ChunkScript.check(input)
        case .snapshots: try SnapshotProperties.check(input)
        case .process: try ProcessProperties.check(input)
        case .codecs: try CodecProperties.check(input)
        case .streams: try StreamProperties.check(input)
        case .pricing: try PricingProperties.check(input)
        case .skills: try SkillProperties.check(input)
        case .full: try ProjectionProperties.check(.full, EventLog(lines: input))
        case .genAI: try ProjectionProperties.check(.genAI, EventLog(lines: input))
        case .openinference: try ProjectionProperties.check(.openinference, EventLog(lines: input))
        case .logs: try LogProperties.check(EventLog(lines: input))
        case .metrics: try MetricProperties.check(EventLog(lines: input))
        case .atif: try TrajectoryProperties.check(manual: EventLog(lines: input))
        case .assembler: try TrajectoryProperties.check(assembled: EventLog(lines: input))
        case .webSocket: try WebSocketProperties.check(input)
        case .ingestLines: try IngestProperties.check(input)
        case .fileNames: try FileNameProperties.check(input)
        case .patterns: try PatternProperties.check(input)
        case .schemas: try SchemaProperties.check(input)
        case .spool: try SpoolProperties.check(input)
        }
    }

    /// Whether inputs are JSON or mostly JSON, so that `InputMutator` knows how to change them.
    package var isJSON: Bool {
        switch self {
        case .json, .eventLine, .process, .codecs, .streams, .pricing, .skills, .full, .genAI, .openinference, .logs,
            .metrics, .atif, .assembler, .ingestLines, .fileNames, .schemas:
            true
        case .eventBatch, .chunks, .snapshots, .webSocket, .patterns, .spool: false
        }
    }

    /// Inputs to start from.
    ///
    /// - Parameters:
    ///   - recording: lines of ATOF JSON, or of codec fixtures.
    package func seeds(from recording: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] { recording.split(separator: UInt8(ascii: "\n")).map(Array.init) }
        lazy var log = EventLog(lines: recording)
        switch self {
        case .json, .eventLine: return lines
        case .eventBatch: return log.events.isEmpty ? [] : [log.batch]
        case .chunks: return ChunkScript.seeds
        case .snapshots: return log.events.isEmpty ? [] : SnapshotProperties.seeds(from: log)
        case .process: return log.events.isEmpty ? [] : [[0] + log.batch, [1] + recording]
        case .codecs: return lines.flatMap(CodecProperties.seeds)
        case .streams: return lines.compactMap(StreamProperties.seed)
        case .pricing: return lines.flatMap(PricingProperties.seeds)
        case .skills: return lines.compactMap(SkillProperties.seed)
        case .full, .genAI, .openinference, .logs, .metrics, .atif, .assembler:
            return log.events.isEmpty ? [] : [recording]
        case .webSocket: return WebSocketProperties.seeds
        case .ingestLines: return IngestProperties.seeds(from: recording)
        case .fileNames: return FileNameProperties.seeds
        case .patterns: return PatternProperties.seeds
        case .schemas: return SchemaProperties.seeds
        case .spool: return log.events.isEmpty ? [] : SpoolProperties.seeds(from: log)
        }
    }
}

/// What came out is not what it has to be.
package struct FuzzFailure: Error, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }

    static func unless(_ holds: Bool, _ description: @autoclosure () -> String) throws(FuzzFailure) {
        if !holds { throw FuzzFailure(description()) }
    }
}
