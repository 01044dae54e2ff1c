internal import HTTPTransport
internal import Projections
internal import Stages

/// Reads PROCESSED, adds up measurements, and delivers what is collected to one OTLP/HTTP endpoint.
struct MetricExportStage: Stage {
    let endpoint: CollectorConfiguration.MetricEndpoint
    /// Of this endpoint alone, so that one that hangs delays no other.
    let client: HTTPClient

    var name: String { "export-\(endpoint.name)" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        var projector = MetricProjector(configuration: endpoint.projection)
        var books = ExportBooks()
        if let parts = try snapshot.map({ try ExportSnapshot($0) }) {
            projector = try MetricProjector(configuration: endpoint.projection, snapshot: parts.projector)
            books = try ExportBooks(snapshot: parts.ledger)
        }
        return MetricExportWorker(
            ExportDelivery(context, .metrics, to: endpoint, client: client, books: books, position: position),
            projector, resource: endpoint.resource)
    }
}
