internal import HTTPTransport
internal import Stages

/// Reads TRAJECTORIES and keeps each document at one destination.
struct StoreStage: Stage {
    /// Documents under way at a time.
    private static let width = 4
    /// Documents that are remembered behind one that does not end.
    private static let limit = 1024

    private let store: CollectorConfiguration.Store
    private let destination: any TrajectoryDestination
    private let recovery: FileDestination?

    init(_ store: CollectorConfiguration.Store) {
        self.store = store
        // A client of this store alone, so that one that hangs delays no other.
        switch store.destination {
        case .files(let directory): destination = FileDestination(directory: directory)
        case .http(let http):
            destination = HTTPDestination(http: http, client: HTTPClient(maxThreads: StoreStage.width))
        case .s3(let s3): destination = S3Destination(s3: s3, client: HTTPClient(maxThreads: StoreStage.width))
        }
        recovery = store.recoveryDirectory.map { FileDestination(directory: $0) }
    }

    var name: String { store.stage }
    var stream: String { SkeinSubjects.trajectoriesStream }

    func filter(partition: Int) -> String { SkeinSubjects.trajectoriesFilter }

    var readsHeadersOnly: Bool { true }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let queue =
            if let snapshot {
                try StoreQueue(width: StoreStage.width, limit: StoreStage.limit, snapshot: snapshot)
            } else {
                StoreQueue(width: StoreStage.width, limit: StoreStage.limit)
            }
        return StoreWorker(
            context, store: store, destination: destination, recovery: recovery, queue: queue, position: position)
    }
}
