package import ATOF

/// Which instances of which workers are there, by what they announce.
///
/// Pure and synchronous; `now` is the time since any fixed instant, never going back. Instances with the same digest, surfaces and form
/// are one registration and share the calls. Others of the same name contradict it.
package struct WorkerRegistry: Sendable {
    /// What is worth a line in the log.
    package enum Notice: Sendable, Hashable {
        case appeared(worker: String, instance: String, digest: String)
        case left(worker: String, instance: String)
        /// Three heartbeats were missed.
        case expired(worker: String, instance: String)
        case conflict(worker: String, digests: [String])
        /// The configuration does not name it: it is sent nothing. Once for each name.
        case unconfigured(worker: String)
        /// Surfaces that the configuration asks of it and it does not offer.
        case lacks(worker: String, surfaces: [WorkerSurface])
        case tooManyInstances(worker: String)
    }

    /// Where a call goes.
    package struct Route: Sendable, Hashable {
        package let digest: String
        package let encoding: WorkerEncoding
    }

    private struct Registration: Hashable {
        let digest: String
        let encoding: WorkerEncoding
        let surfaces: [WorkerSurface]
    }

    private struct Instance {
        var registration: Registration
        var started: UInt64
        /// Gone when nothing is heard until then.
        var until: Duration
    }

    private struct Worker {
        let settings: WorkerSettings
        var instances: [String: Instance] = [:]
        var isInConflict = false
    }

    private var workers: [String: Worker]
    private var unconfigured: Set<String> = []
    /// Announcements of workers that the configuration does not name.
    package private(set) var unconfiguredAnnouncements = 0

    private static let missedHeartbeats = 3
    private static let maximumInstances = 256
    private static let maximumUnconfigured = 256

    package init(_ settings: [WorkerSettings]) {
        workers = Dictionary(settings.map { ($0.name, Worker(settings: $0)) }) { first, _ in first }
    }

    package var names: [String] { workers.keys.sorted() }

    /// Whether an instance of each worker is there.
    package var isComplete: Bool { workers.values.allSatisfy { !$0.instances.isEmpty } }

    /// Instances that are there.
    package func instances(of name: String) -> Int { workers[name]?.instances.count ?? 0 }

    package mutating func announced(_ announcement: WorkerAnnouncement, at now: Duration) -> [Notice] {
        let name = announcement.name
        guard var worker = workers[name] else {
            unconfiguredAnnouncements += 1
            guard unconfigured.count < WorkerRegistry.maximumUnconfigured, unconfigured.insert(name).inserted else {
                return []
            }
            return [.unconfigured(worker: name)]
        }
        defer { workers[name] = worker }
        let known = worker.instances[announcement.instance]
        if announcement.isLeaving {
            worker.instances[announcement.instance] = nil
            let notices: [Notice] = known == nil ? [] : [.left(worker: name, instance: announcement.instance)]
            return notices + WorkerRegistry.conflicts(of: &worker)
        }
        guard known != nil || worker.instances.count < WorkerRegistry.maximumInstances else {
            return [.tooManyInstances(worker: name)]
        }
        let registration = Registration(
            digest: announcement.configDigest, encoding: announcement.encoding,
            surfaces: announcement.offers.map(\.surface))
        worker.instances[announcement.instance] = Instance(
            registration: registration, started: announcement.started,
            until: now + announcement.heartbeat * WorkerRegistry.missedHeartbeats)
        guard known?.registration != registration else { return [] }
        var notices: [Notice] = [
            .appeared(worker: name, instance: announcement.instance, digest: announcement.configDigest)
        ]
        let lacking = worker.settings.surfaces.filter { !registration.surfaces.contains($0) }
        if !lacking.isEmpty { notices.append(.lacks(worker: name, surfaces: lacking)) }
        return notices + WorkerRegistry.conflicts(of: &worker)
    }

    /// Forgets who has been silent for too long.
    package mutating func timePassed(_ now: Duration) -> [Notice] {
        var notices: [Notice] = []
        for name in names {
            guard var worker = workers[name] else { continue }
            let silent = worker.instances.filter { $0.value.until <= now }.keys.sorted()
            guard !silent.isEmpty else { continue }
            for instance in silent {
                worker.instances[instance] = nil
                notices.append(.expired(worker: name, instance: instance))
            }
            notices += WorkerRegistry.conflicts(of: &worker)
            workers[name] = worker
        }
        return notices
    }

    /// When `timePassed` has something to do; nil when nobody is there.
    package var deadline: Duration? { workers.values.flatMap { $0.instances.values.map(\.until) }.min() }

    /// Where a call of a worker for a surface goes now.
    package func route(_ name: String, _ surface: WorkerSurface) -> Result<Route, WorkerFailure> {
        guard let worker = workers[name], !worker.instances.isEmpty else { return .failure(.gone) }
        var candidates = WorkerRegistry.registrations(of: worker)
        if let digest = worker.settings.configDigest {
            candidates.removeAll { $0.digest != digest }
            if candidates.isEmpty { return .failure(.configMismatch) }
        }
        // Two forms or sets of surfaces under one digest have one subject: whom a call reaches is then left to chance.
        if Set(candidates.map(\.digest)).count < candidates.count { return .failure(.conflict) }
        let chosen: Registration? =
            switch worker.settings.onConflict {
            case .oldest: candidates.first
            case .newest: candidates.last
            case .fail: candidates.count == 1 ? candidates.first : nil
            }
        guard let chosen else { return .failure(.conflict) }
        guard chosen.surfaces.contains(surface) else { return .failure(.gone) }
        return .success(Route(digest: chosen.digest, encoding: chosen.encoding))
    }

    /// In the order in which their first instances started; the same on every collector that hears the same.
    private static func registrations(of worker: Worker) -> [Registration] {
        var started: [Registration: UInt64] = [:]
        for instance in worker.instances.values {
            started[instance.registration] = min(started[instance.registration] ?? .max, instance.started)
        }
        return started.sorted { left, right in
            left.value != right.value ? left.value < right.value : left.key.digest < right.key.digest
        }.map(\.key)
    }

    /// Tells of a conflict when it begins, or changes after it had ended.
    private static func conflicts(of worker: inout Worker) -> [Notice] {
        let registrations = registrations(of: worker)
        let isInConflict = registrations.count > 1
        defer { worker.isInConflict = isInConflict }
        guard isInConflict, !worker.isInConflict else { return [] }
        return [.conflict(worker: worker.settings.name, digests: registrations.map(\.digest))]
    }
}
