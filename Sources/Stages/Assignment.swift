/// Which member works on which task: rendezvous hashing with bounded load. Every member computes the same from the same list.
///
/// Each member of a stage gets as many of its partitions as any other, or one more; those that get one more are chosen so that the sums
/// over all stages differ by one at most too, when all members run the same stages. A partition goes to the member that hashes highest
/// with it and has room, so that a member that comes or goes moves little else.
package struct Assignment: Sendable, Hashable {
    /// A process that takes tasks.
    package struct Member: Sendable, Hashable {
        package let id: String
        /// Names of the stages that it runs.
        package let stages: Set<String>

        package init(id: String, stages: Set<String>) {
            self.id = id
            self.stages = stages
        }
    }

    /// A stage on a partition.
    package struct Task: Sendable, Hashable {
        package let stage: String
        package let partition: Int

        package init(stage: String, partition: Int) {
            self.stage = stage
            self.partition = partition
        }
    }

    private var owners: [Task: String] = [:]

    /// - Parameters:
    ///   - partitions: of EVENTS and PROCESSED; `StageName` says how many tasks a stage has.
    ///   - members: in any order, each once.
    package init(partitions: Int, members: [Member]) {
        var loads: [String: Int] = [:]
        for stage in Set(members.flatMap(\.stages)).sorted() {
            let able = members.filter { $0.stages.contains(stage) }.map(\.id)
            let count = StageName.taskCount(of: stage, partitions: partitions)
            let (share, extra) = count.quotientAndRemainder(dividingBy: able.count)
            // One more goes to those that have least so far.
            let favoured = able.sorted {
                (loads[$0, default: 0], Assignment.weight($0, stage, -1)) < (
                    loads[$1, default: 0], Assignment.weight($1, stage, -1)
                )
            }.prefix(extra)
            var room = Dictionary(able.map { ($0, share) }) { $0 + $1 }
            for id in favoured { room[id, default: 0] += 1 }
            for (id, load) in room { loads[id, default: 0] += load }
            for partition in 0..<count {
                let free = able.filter { room[$0, default: 0] > 0 }
                guard let owner = free.max(by: { Assignment.isLess($0, $1, stage, partition) }) else { continue }
                room[owner, default: 0] -= 1
                owners[Task(stage: stage, partition: partition)] = owner
            }
        }
    }

    package subscript(task: Task) -> String? { owners[task] }

    /// The tasks of a member.
    package func tasks(of id: String) -> Set<Task> { Set(owners.filter { $0.value == id }.keys) }

    private static func isLess(_ left: String, _ right: String, _ stage: String, _ partition: Int) -> Bool {
        (weight(left, stage, partition), left) < (weight(right, stage, partition), right)
    }

    /// FNV-1a with the finish of splitmix64: short texts that differ in their last byte must differ everywhere.
    private static func weight(_ member: String, _ stage: String, _ partition: Int) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(member)/\(stage)/\(partition)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        return hash ^ hash >> 31
    }
}
