internal import Foundation
package import Stages

/// What is asked on `skein.v1.ledger`.
package struct LedgerQuery: Sendable, Hashable, Codable {
    package var tenant: String?
    /// A routing key in `process`, a run's root behind it.
    package var key: String?

    package init(tenant: String? = nil, key: String? = nil) {
        self.tenant = tenant
        self.key = key
    }
}

/// What a member answers for one of its tasks.
package struct LedgerReport: Sendable, Hashable, Codable {
    package struct Row: Sendable, Hashable, Codable {
        package let tenant: String
        /// Nil for a sum over keys.
        package let key: String?
        /// By the names of `LedgerCounts.Field`; those that are 0 are left out.
        package let counts: [String: UInt64]

        package init(tenant: String, key: String?, counts: [String: UInt64]) {
            self.tenant = tenant
            self.key = key
            self.counts = counts
        }
    }

    /// A producer of which something is missing.
    package struct Producer: Sendable, Hashable, Codable {
        package let tenant: String
        package let key: String
        package let producer: String
        package let missing: UInt64
    }

    package let member: String
    package let stage: String
    package let partition: Int
    package let epoch: UInt64
    package let rows: [Row]
    package let producers: [Producer]

    package init(
        member: String, stage: String, partition: Int, epoch: UInt64, rows: [Row], producers: [Producer]
    ) {
        self.member = member
        self.stage = stage
        self.partition = partition
        self.epoch = epoch
        self.rows = rows
        self.producers = producers
    }

    /// The most producers and tenants of an answer, so that it fits into a message.
    private static let producerLimit = 256
    private static let tenantLimit = 1024

    /// What a task's worker says, as the query wants it: with a key that key's row, else a row for each tenant. Those that are too many are
    /// summed up for the tenant `_`.
    package init(
        member: String, key: TaskKey, epoch: UInt64, rows: [LedgerRow], producers: [ProducerGap], query: LedgerQuery
    ) {
        var counts: [String: LedgerCounts] = [:]
        for row in rows where query.tenant == nil || row.tenant == query.tenant {
            if query.key == nil || row.key == query.key { counts[row.tenant, default: LedgerCounts()] += row.counts }
        }
        if counts.count > LedgerReport.tenantLimit {
            for (tenant, more) in counts.sorted(by: { $0.key < $1.key }).dropFirst(LedgerReport.tenantLimit - 1) {
                counts[tenant] = nil
                counts[SkeinSubjects.ownTenant, default: LedgerCounts()] += more
            }
        }
        self.init(
            member: member, stage: key.stage, partition: key.partition, epoch: epoch,
            rows: counts.sorted { $0.key < $1.key }.map { tenant, counts in
                var named: [String: UInt64] = [:]
                for field in LedgerCounts.Field.allCases where counts[field] > 0 { named[field.name] = counts[field] }
                return Row(tenant: tenant, key: query.key, counts: named)
            },
            producers: producers.filter { gap in
                (query.tenant == nil || gap.tenant == query.tenant) && (query.key == nil || gap.key == query.key)
            }.sorted { $0.missing > $1.missing }.prefix(LedgerReport.producerLimit).map {
                Producer(tenant: $0.tenant, key: $0.key, producer: $0.producer, missing: $0.missing)
            })
    }

    package var json: [UInt8] {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            return [UInt8](try encoder.encode(self))
        }
    }

    package init(json: [UInt8]) throws { self = try JSONDecoder().decode(LedgerReport.self, from: Data(json)) }
}

extension LedgerQuery {
    package var json: [UInt8] { get throws { [UInt8](try JSONEncoder().encode(self)) } }

    /// An empty message asks for everything.
    package init(json: [UInt8]) throws {
        self = json.isEmpty ? LedgerQuery() : try JSONDecoder().decode(LedgerQuery.self, from: Data(json))
    }
}

/// The answers of all members put together.
package struct LedgerSummary: Sendable {
    /// By stage.
    package private(set) var stages: [String: LedgerCounts] = [:]
    package private(set) var producers: [LedgerReport.Producer] = []
    package private(set) var tasks: Set<TaskKey> = []
    private var reports: [TaskKey: LedgerReport] = [:]

    package init() {}

    /// Takes an answer. A task that was taken over just now may be answered for twice: the later owner counts.
    package mutating func add(_ report: LedgerReport) {
        let task = TaskKey(stage: report.stage, partition: report.partition)
        if let known = reports[task], known.epoch >= report.epoch { return }
        reports[task] = report
        tasks.insert(task)
        stages = [:]
        producers = []
        for report in reports.values {
            var sum = stages[report.stage] ?? LedgerCounts()
            for row in report.rows {
                for field in LedgerCounts.Field.allCases { sum[field] += row.counts[field.name] ?? 0 }
            }
            stages[report.stage] = sum
            producers += report.producers
        }
        producers.sort { first, second in
            if first.missing != second.missing { return first.missing > second.missing }
            return (first.tenant, first.key, first.producer) < (second.tenant, second.key, second.producer)
        }
    }

    /// Stages in the order in which events pass them.
    package var stageNames: [String] {
        let first = ["process", "assemble"].filter { stages[$0] != nil }
        return first + stages.keys.filter { !first.contains($0) }.sorted()
    }

    /// Whether every event that came into a stage is under exactly one count. Behind `process` events may be under way; nothing may be
    /// counted that did not come in.
    package func isBalanced(_ stage: String) -> Bool {
        guard let counts = stages[stage] else { return true }
        return stage == "process" ? counts.pending == 0 : counts.pending >= 0
    }

    package func isEmpty(_ stage: String) -> Bool { (stages[stage] ?? LedgerCounts()) == LedgerCounts() }

    /// The equation of a stage, in one line.
    package func equation(_ stage: String) -> String {
        let counts = stages[stage] ?? LedgerCounts()
        let usual: [LedgerCounts.Field] =
            switch stage {
            case "process": [.processed, .dropped, .deduplicated, .deadLettered]
            case "assemble": [.assembled, .unassembled]
            case _ where StageName.isStore(stage): [.delivered, .superseded, .deadLettered, .rejected, .expired]
            default: [.delivered, .notProjected, .rejected, .expired]
            }
        let inputs: [LedgerCounts.Field] = stage == "process" ? [.received, .injected] : [.received]
        let others = LedgerCounts.Field.allCases.filter {
            !usual.contains($0) && !inputs.contains($0) && $0 != .missing && $0 != .replayed && counts[$0] > 0
        }
        let text: (LedgerCounts.Field) -> String = { field in
            let name = field == .deadLettered ? "dead-lettered" : field.name.replacing("_", with: " ")
            return "\(name) \(counts[field])"
        }
        let left: [String] = inputs.map(text)
        let right: [String] = (usual + others).map(text)
        var line = stage + ": " + left.joined(separator: " + ") + " = " + right.joined(separator: " + ")
        if stage != "process" || counts.pending != 0 { line += " + pending \(counts.pending)" }
        for field in [LedgerCounts.Field.replayed, .missing] where counts[field] > 0 { line += ", \(text(field))" }
        return line
    }
}
