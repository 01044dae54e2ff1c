internal import HTTPTransport
internal import Projections
internal import Stages

/// Reads PROCESSED and delivers log records to one OTLP/HTTP endpoint.
struct LogExportStage: Stage {
    let endpoint: CollectorConfiguration.LogEndpoint
    let runs: CollectorConfiguration.Runs
    /// Of this endpoint alone, so that one that hangs delays no other.
    let client: HTTPClient

    var name: String { "export-\(endpoint.name)" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        var configuration = endpoint.projection
        configuration.maximumAge = runs.maximumAge.nanoseconds
        var projector = LogProjector(configuration: configuration)
        var books = ExportBooks()
        if let parts = try snapshot.map({ try ExportSnapshot($0) }) {
            projector = try LogProjector(configuration: configuration, snapshot: parts.projector)
            books = try ExportBooks(snapshot: parts.ledger)
        }
        return LogExportWorker(
            ExportDelivery(context, .logRecords, to: endpoint, client: client, books: books, position: position),
            projector)
    }
}
