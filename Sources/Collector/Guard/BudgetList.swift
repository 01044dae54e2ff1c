internal import ATOF
package import NATSTransport
package import Stages

/// What a tenant's budgets stand at, as the bucket holds it.
package struct BudgetState: Sendable {
    package let tenant: String
    package let counters: BudgetCounters
}

/// The counters of all tenants.
package enum BudgetList {
    /// Those that no call can use any more are left out.
    ///
    /// - Throws: `CollectorError` when no collector has ever run here, or for counters that cannot be read.
    package static func read(_ jetStream: JetStream, tenant: String? = nil) async throws -> [BudgetState] {
        let bucket = try await bucket(jetStream)
        let base = "$KV.\(bucket.name)."
        let keys = try await jetStream.subjects(
            of: "KV_\(bucket.name)", matching: base + SkeinSubjects.budgetKey(tenant: tenant ?? "*")
        ).keys.map { String($0.dropFirst(base.count)) }
        var states: [BudgetState] = []
        for key in keys.sorted() {
            let tenant = String(key.drop { $0 != "." }.dropFirst())
            do {
                guard var counters = try await counters(of: tenant, in: bucket) else { continue }
                counters.expire(now: Wall.nanoseconds())
                states.append(BudgetState(tenant: tenant, counters: counters))
            } catch let error as SnapshotError {
                throw CollectorError(
                    "the counters \(key) cannot be read (\(error)); skein guard budgets --reset --tenant \(tenant) --yes begins "
                        + "anew")
            }
        }
        return states
    }

    private static func bucket(_ jetStream: JetStream) async throws -> KeyValueBucket {
        do throws(NATSError) {
            return try await KeyValueBucket.existing(jetStream, name: SkeinSubjects.stateBucket)
        } catch {
            guard error.code == .notFound else { throw error }
            throw CollectorError(
                "there is no bucket \(SkeinSubjects.stateBucket): no collector has run here yet; start skein collect or skein up"
            )
        }
    }

    /// Nil when the tenant has none. Whoever counts may write meanwhile: then they are read again.
    private static func counters(of tenant: String, in bucket: KeyValueBucket) async throws -> BudgetCounters? {
        for attempt in 1... {
            guard let head = try await bucket.get(SkeinSubjects.budgetKey(tenant: tenant), fromLeader: true) else {
                return nil
            }
            guard let base = try BudgetCounters.base(ofHead: head.value) else {
                return try BudgetCounters(head: head.value)
            }
            let key = SkeinSubjects.budgetBaseKey(tenant: tenant, slot: base.slot)
            let bytes = try await bucket.get(key, fromLeader: true)?.value
            if BudgetCounters.holds(bytes, base) || attempt == attempts {
                return try BudgetCounters(head: head.value, base: BudgetCounters.holds(bytes, base) ? bytes : nil)
            }
        }
        return nil
    }

    private static let attempts = 5

    /// Forgets what a tenant has used: who counts for it begins anew with its next write, or within a second.
    ///
    /// - Returns: whether there was anything.
    package static func reset(_ jetStream: JetStream, tenant: String) async throws -> Bool {
        let bucket = try await bucket(jetStream)
        let key = SkeinSubjects.budgetKey(tenant: tenant)
        guard try await bucket.get(key, fromLeader: true) != nil else { return false }
        // The head goes; bases to which no head refers are nothing.
        try await bucket.delete(key)
        return true
    }
}
