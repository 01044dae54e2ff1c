import Stages
import Testing

@Suite("Assignment of tasks")
struct AssignmentTests {
    private static func members(_ count: Int, stages: Set<String> = ["process", "assemble", "export-a", "export-b"])
        -> [Assignment.Member]
    {
        (0..<count).map { Assignment.Member(id: "member-\($0)-\($0 &* 7919)", stages: stages) }
    }

    @Test(
        "balances every stage and the sum within one",
        arguments: [1, 2, 3, 5, 8, 9, 13], [1, 2, 7, 8, 12, 64])
    func balance(count: Int, partitions: Int) {
        let members = Self.members(count)
        let assignment = Assignment(partitions: partitions, members: members)
        let sums = members.map { assignment.tasks(of: $0.id).count }
        #expect(sums.reduce(0, +) == 4 * partitions)
        #expect((sums.max() ?? 0) - (sums.min() ?? 0) <= 1)
        for stage in members[0].stages {
            let loads = members.map { member in
                assignment.tasks(of: member.id).count { $0.stage == stage }
            }
            #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 1)
        }
    }

    @Test("gives a store one task, and goes on sharing the sum evenly", arguments: [1, 2, 3, 5])
    func stores(count: Int) {
        let members = Self.members(count, stages: ["process", "assemble", "store-a", "store-b", "store-c"])
        let assignment = Assignment(partitions: 8, members: members)
        let tasks = members.map { assignment.tasks(of: $0.id) }
        #expect(tasks.reduce(0) { $0 + $1.count } == 2 * 8 + 3)
        #expect((tasks.map(\.count).max() ?? 0) - (tasks.map(\.count).min() ?? 0) <= 1)
        #expect(tasks.flatMap { $0 }.allSatisfy { !$0.stage.hasPrefix("store-") || $0.partition == 0 })
    }

    @Test("is the same whatever the order of the members")
    func order() {
        let members = Self.members(5)
        #expect(
            Assignment(partitions: 8, members: members) == Assignment(partitions: 8, members: members.reversed()))
    }

    @Test("gives a stage only to members that run it")
    func stages() {
        let members = [
            Assignment.Member(id: "a", stages: ["process"]),
            Assignment.Member(id: "b", stages: ["process", "export-x"]),
        ]
        let assignment = Assignment(partitions: 8, members: members)
        for partition in 0..<8 {
            #expect(assignment[Assignment.Task(stage: "export-x", partition: partition)] == "b")
        }
        #expect(assignment.tasks(of: "a").count == 4)
        #expect(assignment[Assignment.Task(stage: "unknown", partition: 0)] == nil)
    }

    @Test("moves less than half of the tasks when a fourth member comes")
    func movement() {
        let before = Assignment(partitions: 64, members: Self.members(3))
        let after = Assignment(partitions: 64, members: Self.members(4))
        var moved = 0
        for stage in Self.members(1)[0].stages {
            for partition in 0..<64 {
                let task = Assignment.Task(stage: stage, partition: partition)
                if before[task] != after[task] { moved += 1 }
            }
        }
        // A quarter has to move.
        #expect(moved < 128, "\(moved) of 256")
    }

    @Test("of nobody is empty")
    func nobody() {
        #expect(Assignment(partitions: 8, members: [])[Assignment.Task(stage: "process", partition: 0)] == nil)
    }
}
