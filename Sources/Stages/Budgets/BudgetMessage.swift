package import ATOF

/// How a member asks the one that counts a tenant's calls, and is answered. Between collectors of the same version only.
package struct BudgetMessage: Sendable, Hashable {
    package let tenant: String
    package let call: BudgetCall

    private static let version: UInt8 = 1

    package init(tenant: String, call: BudgetCall) {
        self.tenant = tenant
        self.call = call
    }

    /// - Parameter now: on the sender's clock. The time that is left travels, for clocks differ.
    package func bytes(now: UInt64) -> [UInt8] {
        var writer = SnapshotWriter(version: BudgetMessage.version)
        writer.write(tenant)
        writer.write(call.id)
        writer.write(call.deadline > now ? call.deadline - now : 0)
        writer.write(call.demands.count)
        for demand in call.demands { writer.write(demand) }
        return writer.bytes
    }

    /// - Parameter now: on the receiver's clock.
    package init(_ bytes: [UInt8], now: UInt64) throws(SnapshotError) {
        var reader = try SnapshotReader(bytes, version: BudgetMessage.version)
        tenant = try reader.readText()
        let id = try reader.readNumber()
        let left = try reader.readTime()
        var demands: [BudgetDemand] = []
        var counters: Set<BudgetCounters.Key> = []
        for _ in 0..<(try reader.readCount()) {
            let demand = try reader.readDemand()
            // No member asks a counter twice about one call: each demand is looked at without the others.
            guard counters.insert(.init(demand)).inserted else {
                throw SnapshotError("a call has two demands on one counter")
            }
            demands.append(demand)
        }
        call = BudgetCall(id: id, demands: demands, deadline: now + left)
        try reader.end()
    }
}

extension BudgetVerdict {
    private static let version: UInt8 = 1

    package var bytes: [UInt8] {
        var writer = SnapshotWriter(version: BudgetVerdict.version)
        switch self {
        case .counted: writer.write(0)
        case .exhausted(let demand, let used):
            writer.write(1)
            writer.write(demand)
            writer.write(used)
        case .expired: writer.write(2)
        case .unavailable(let reason):
            writer.write(3)
            writer.write(reason)
        }
        return writer.bytes
    }

    package init(_ bytes: [UInt8]) throws(SnapshotError) {
        var reader = try SnapshotReader(bytes, version: BudgetVerdict.version)
        switch try reader.readNumber() {
        case 0: self = .counted
        case 1: self = .exhausted(try reader.readDemand(), used: try reader.readNumber())
        case 2: self = .expired
        case 3: self = .unavailable(try reader.readText())
        case let other: throw SnapshotError("a verdict of kind \(other) is not known to this build")
        }
        try reader.end()
    }
}

extension SnapshotWriter {
    fileprivate mutating func write(_ demand: BudgetDemand) {
        write(demand.budget)
        write(demand.subject)
        write(demand.limit)
        write(demand.window) { $0.write($1) }
        write(demand.amount)
    }
}

extension SnapshotReader {
    fileprivate mutating func readDemand() throws(SnapshotError) -> BudgetDemand {
        BudgetDemand(
            budget: try readText(), subject: try readSubject(), limit: try readNumber(),
            window: try readOptional { reader throws(SnapshotError) in try reader.readTime() }, amount: try readNumber()
        )
    }
}
