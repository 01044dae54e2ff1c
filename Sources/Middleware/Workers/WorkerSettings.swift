package import ATOF

/// A worker of the `workers` component as it was configured and found valid: only such a worker is ever sent anything.
package struct WorkerSettings: Sendable, Hashable {
    /// What becomes of an item that a worker did not decide (`middleware-guardrails-pii.md` 7).
    package enum FailurePolicy: String, Sendable, Hashable, CaseIterable {
        /// As if the worker had left it unchanged, or allowed it.
        case open
        /// What the surface governs is removed; a conditional rule does not allow.
        case closed
    }

    /// Which of several registrations that contradict each other is asked.
    package enum ConflictPolicy: String, Sendable, Hashable, CaseIterable {
        /// The one that started first, as long as an instance of it lives.
        case oldest
        /// The one that started last: for updates that replace one instance after the other.
        case newest
        /// None: every call fails until one is left.
        case fail
    }

    package var name: String
    package var surfaces: [WorkerSurface]
    /// Lower runs first; of all surfaces of the worker.
    package var priority: Int32 = 100
    /// From the call to its answer, waiting for a place included.
    package var deadline = Duration.seconds(1)
    /// Calls that may be under way at once, of each collector.
    package var maximumInFlight = 16
    /// What differs from `FailurePolicy.default`.
    package var onFailure: [WorkerSurface: FailurePolicy] = [:]
    package var onConflict = ConflictPolicy.oldest
    /// Only a registration with this digest is asked; nil takes any.
    package var configDigest: String?
    /// Only their events are sent; empty stands for all.
    package var tenants: [String] = []
    /// Of the JSON texts of one result.
    package var maximumResultBytes = 1 << 20

    package init(name: String, surfaces: [WorkerSurface]) {
        self.name = name
        self.surfaces = surfaces
    }

    package func policy(of surface: WorkerSurface) -> FailurePolicy { onFailure[surface] ?? .default(of: surface) }

    package func serves(tenant: String) -> Bool { tenants.isEmpty || tenants.contains(tenant) }
}

extension WorkerSettings.FailurePolicy {
    /// Closed for everything that hides or forbids, open for what only adds.
    package static func `default`(of surface: WorkerSurface) -> Self {
        switch surface.kind {
        case .injector: .open
        case .payload, .event, .conditional, .intercept: .closed
        }
    }
}

/// Why a worker did not decide an item: the `reason` of `skein_worker_failures_total`.
package enum WorkerFailure: String, Error, Sendable, Hashable, CaseIterable {
    /// No instance is registered, or none serves the surface.
    case gone
    /// Registrations contradict each other, and the policy takes none.
    case conflict
    /// Nobody is registered with the digest that the configuration names.
    case configMismatch = "config_mismatch"
    /// Nobody listens, although an instance was heard of lately.
    case noResponders = "no_responders"
    /// No answer in time.
    case deadline
    /// Too many calls wait for a place already.
    case overloaded
    /// So many calls have failed that no further ones are tried for a while.
    case circuitOpen = "circuit_open"
    /// The worker said that it could not.
    case workerError = "worker_error"
    /// The answer is none, or not one that the surface allows.
    case wrongReply = "wrong_reply"
    /// The item is larger than a message may be.
    case tooLarge = "too_large"
    /// The connection to the bus is away.
    case disconnected
}
