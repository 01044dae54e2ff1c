package import ATOF

/// The subjects of workers (`proto/skein/v1/worker.proto`).
extension SkeinSubjects {
    /// Where workers say who they are, each below its name.
    package static let workerAnnouncements = "skein.v1.worker.announce.*"
    /// Where a collector asks all workers to say so now.
    package static let workerHello = "skein.v1.worker.hello"

    package static func workerAnnouncement(name: String) -> String { "skein.v1.worker.announce.\(name)" }

    /// Where a registration of a worker is called; its instances are a queue group.
    package static func workerCall(name: String, digest: String, surface: WorkerSurface) -> String {
        "skein.v1.worker.invoke.\(name).\(digest).\(surface.rawValue)"
    }
}
