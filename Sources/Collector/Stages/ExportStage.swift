internal import ATOF
internal import HTTPTransport
internal import Projections
internal import Stages

/// Reads PROCESSED and delivers spans to one OTLP/HTTP endpoint.
struct ExportStage: Stage {
    let endpoint: CollectorConfiguration.Endpoint
    let runs: CollectorConfiguration.Runs
    /// Of this endpoint alone, so that one that hangs delays no other.
    let client: HTTPClient
    var compatibility = Compatibility.skein
    /// Prices; workers take others over between two messages.
    var policy = CurrentPolicy()

    var name: String { "export-\(endpoint.name)" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        var configuration = endpoint.projection
        configuration.compatibility = compatibility
        configuration.idle = runs.idle.nanoseconds
        configuration.maximumAge = runs.maximumAge.nanoseconds
        configuration.maximumHeldBytes = runs.taskHeldBytes
        let version = policy.version
        configuration.pricing = version.pricing
        var projector = SpanProjector(configuration: configuration)
        var books = ExportBooks()
        if let parts = try snapshot.map({ try ExportSnapshot($0) }) {
            projector = try SpanProjector(configuration: configuration, snapshot: parts.projector)
            books = try ExportBooks(snapshot: parts.ledger)
        }
        return ExportWorker(
            ExportDelivery(context, .spans, to: endpoint, client: client, books: books, position: position), projector,
            policy, generation: version.generation)
    }
}

/// The two parts of the task's snapshot.
struct ExportSnapshot {
    private static let version: UInt8 = 2

    let projector: [UInt8]
    let ledger: [UInt8]

    init(projector: [UInt8], ledger: [UInt8]) {
        self.projector = projector
        self.ledger = ledger
    }

    init(_ bytes: [UInt8]) throws(SnapshotError) {
        var reader = try SnapshotReader(bytes, version: ExportSnapshot.version)
        projector = try reader.readBlob()
        ledger = try reader.readBlob()
        try reader.end()
    }

    var bytes: [UInt8] {
        var writer = SnapshotWriter(version: ExportSnapshot.version)
        writer.write(projector)
        writer.write(ledger)
        return writer.bytes
    }
}

extension Duration {
    /// Of a length that is not negative.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds)) &* 1_000_000_000 &+ UInt64(max(0, attoseconds) / 1_000_000_000)
    }
}
