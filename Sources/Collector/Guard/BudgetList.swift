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
        let bucket: KeyValueBucket
        do throws(NATSError) {
            bucket = try await KeyValueBucket.existing(jetStream, name: SkeinSubjects.stateBucket)
        } catch {
            guard error.code == .notFound else { throw error }
            throw CollectorError(
                "there is no bucket \(SkeinSubjects.stateBucket): no collector has run here yet; start skein collect or skein up"
            )
        }
        let base = "$KV.\(bucket.name)."
        let keys = try await jetStream.subjects(
            of: "KV_\(bucket.name)", matching: base + SkeinSubjects.budgetKey(tenant: tenant ?? "*")
        ).keys.map { String($0.dropFirst(base.count)) }
        var states: [BudgetState] = []
        for key in keys.sorted() {
            guard let entry = try await bucket.get(key, fromLeader: true) else { continue }
            let tenant = String(key.drop { $0 != "." }.dropFirst())
            do throws(SnapshotError) {
                var counters = try BudgetCounters(snapshot: entry.value)
                counters.expire(now: Wall.nanoseconds())
                states.append(BudgetState(tenant: tenant, counters: counters))
            } catch {
                throw CollectorError(
                    "the counters \(key) cannot be read (\(error)); delete the key of bucket \(bucket.name) to begin anew"
                )
            }
        }
        return states
    }
}
