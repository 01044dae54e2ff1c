import ATOF
import Stages
import Testing

@Suite("Scope table")
struct ScopeTableTests {
    typealias Step = (kind: Event.Kind, scope: UInt64, parent: UInt64?, propagated: UInt64?, root: UInt64?)

    /// Observes one event after the other; a root of nil means a duplicate.
    private static func run(_ table: inout ScopeTable, _ steps: [Step], tenant: String = "a") throws {
        for (number, step) in steps.enumerated() {
            let event = try TestEvents.event(step.kind, step.scope, parent: step.parent, propagated: step.propagated)
            let expected = step.root.map { ScopeTable.Outcome.new(root: TestEvents.uuid($0)) } ?? .duplicate
            #expect(table.observe(event, tenant: tenant) == expected, "step \(number)")
        }
    }

    @Test(
        "resolves the root in order: own, parent's, propagated, parent, itself",
        arguments: [
            [(.scopeStart, 1, nil, nil, 1)], [(.scopeStart, 1, 9, nil, 9)], [(.scopeStart, 1, 9, 8, 8)],
            [(.scopeStart, 1, nil, 8, 8)],
            // A child takes its parent's root, not what is propagated with it.
            [(.scopeStart, 1, 9, nil, 9), (.scopeStart, 2, 1, 7, 9), (.mark, 3, 2, 6, 9), (.scopeEnd, 2, 5, 4, 9)],
            // An end goes where its start went, though its parent became known meanwhile.
            [
                (.scopeStart, 2, 1, nil, 1), (.scopeStart, 1, 9, nil, 9), (.scopeEnd, 2, 1, nil, 1),
                (.scopeStart, 3, 1, nil, 9),
            ],
            // A start comes after its end.
            [(.scopeEnd, 1, 9, nil, 9), (.scopeStart, 1, 8, 7, 9)],
            // Children of a scope that has ended.
            [
                (.scopeStart, 1, nil, 8, 8), (.scopeEnd, 1, nil, nil, 8), (.scopeStart, 2, 1, nil, 8),
                (.mark, 4, 1, nil, 8),
            ],
            // Its own parent.
            [(.scopeStart, 1, 1, nil, 1), (.scopeEnd, 1, 1, nil, 1)],
        ] as [[Step]])
    func roots(steps: [Step]) throws {
        var table = ScopeTable()
        try ScopeTableTests.run(&table, steps)
    }

    @Test("recognises what comes twice, by UUID and phase")
    func duplicates() throws {
        var table = ScopeTable()
        try ScopeTableTests.run(
            &table,
            [
                (.scopeStart, 1, nil, nil, 1), (.scopeStart, 1, nil, nil, nil), (.scopeEnd, 1, nil, nil, 1),
                (.scopeEnd, 1, nil, nil, nil),
                (.scopeStart, 1, nil, nil, nil), (.mark, 2, 1, nil, 1), (.mark, 2, 1, nil, nil),
            ])
        #expect(table.openCount == 0)
    }

    @Test("keeps the scopes of tenants apart")
    func tenants() throws {
        var table = ScopeTable()
        try ScopeTableTests.run(&table, [(.scopeStart, 1, 9, nil, 9)], tenant: "a")
        try ScopeTableTests.run(&table, [(.scopeStart, 1, 8, nil, 8), (.scopeStart, 2, 1, nil, 8)], tenant: "b")
        try ScopeTableTests.run(&table, [(.scopeStart, 1, 9, nil, nil), (.scopeStart, 2, 1, nil, 9)], tenant: "a")
        #expect(table.openCount == 4)
    }

    @Test("counts as open what has started and not ended")
    func openCount() throws {
        var table = ScopeTable()
        try ScopeTableTests.run(
            &table, [(.scopeStart, 1, nil, nil, 1), (.scopeStart, 2, 1, nil, 1), (.mark, 3, 1, nil, 1)])
        #expect(table.openCount == 2)
        // A mark with a scope's UUID does not end the scope.
        try ScopeTableTests.run(&table, [(.mark, 2, 1, nil, 1)])
        #expect(table.openCount == 2)
        try ScopeTableTests.run(&table, [(.scopeEnd, 2, nil, nil, 1), (.scopeEnd, 4, nil, nil, 4)])
        #expect(table.openCount == 1)
    }

    @Test("forgets what ended first, and never an open scope for it")
    func closedLimit() throws {
        var table = ScopeTable(closedLimit: 2, openLimit: 10)
        try ScopeTableTests.run(
            &table,
            [
                (.scopeStart, 1, 9, nil, 9), (.mark, 2, 1, nil, 9), (.mark, 3, 1, nil, 9), (.mark, 3, 1, nil, nil),
                (.mark, 4, 1, nil, 9), (.mark, 3, 1, nil, nil),
                // 2 is forgotten, so it comes as new and puts 3 out.
                (.mark, 2, 1, nil, 9), (.mark, 3, 1, nil, 9), (.scopeEnd, 1, nil, nil, 9),
            ])
    }

    @Test("counts the scope that opened first as ended when too many are open")
    func openLimit() throws {
        var table = ScopeTable(closedLimit: 2, openLimit: 2)
        try ScopeTableTests.run(
            &table, [(.scopeStart, 1, 9, nil, 9), (.scopeStart, 2, 8, nil, 8), (.scopeStart, 3, 7, nil, 7)])
        #expect(table.openCount == 2)
        // It is remembered like one that ended: its end finds its root, and is no duplicate.
        try ScopeTableTests.run(
            &table, [(.scopeEnd, 1, nil, nil, 9), (.scopeEnd, 1, nil, nil, nil), (.scopeStart, 1, nil, nil, nil)])
        try ScopeTableTests.run(
            &table, [(.mark, 4, nil, nil, 4), (.mark, 5, nil, nil, 5), (.scopeEnd, 1, nil, nil, 1)])
        #expect(table.openCount == 2)
    }

    @Test("behaves the same after a snapshot at any point", arguments: 1...4)
    func snapshots(seed: UInt64) throws {
        var random = TestRandom(seed: seed)
        var table = ScopeTable(closedLimit: 20, openLimit: 10)
        var restored = table
        for step in 0..<2000 {
            let kind: Event.Kind = [.scopeStart, .scopeEnd, .mark].randomElement(using: &random) ?? .mark
            let event = try TestEvents.event(
                kind, .random(in: 0..<60, using: &random),
                parent: Bool.random(using: &random) ? .random(in: 0..<60, using: &random) : nil,
                propagated: Bool.random(using: &random) ? .random(in: 100..<110, using: &random) : nil)
            let tenant = Bool.random(using: &random) ? "a" : "b"
            let outcome = table.observe(event, tenant: tenant)
            #expect(restored.observe(event, tenant: tenant) == outcome, "step \(step)")
            let snapshot = table.snapshot()
            #expect(restored.snapshot() == snapshot, "step \(step)")
            restored = try ScopeTable(closedLimit: 20, openLimit: 10, snapshot: snapshot)
            #expect(restored.openCount == table.openCount)
        }
    }

    @Test("stays small over many scopes")
    func bounded() throws {
        var table = ScopeTable(closedLimit: 100, openLimit: 100)
        for scope in UInt64(0)..<5000 {
            _ = table.observe(try TestEvents.event(.scopeStart, scope), tenant: "a")
            if scope % 3 != 0 { _ = table.observe(try TestEvents.event(.scopeEnd, scope), tenant: "a") }
        }
        #expect(table.openCount <= 100)
        #expect(table.snapshot().count < 200 * 40)
    }

    @Test("refuses damaged snapshots and never crashes on one")
    func damage() throws {
        var table = ScopeTable()
        for scope in UInt64(0)..<20 {
            _ = table.observe(try TestEvents.event(.scopeStart, scope, parent: 1000), tenant: "tenant")
            if scope % 2 == 0 { _ = table.observe(try TestEvents.event(.scopeEnd, scope), tenant: "tenant") }
        }
        let snapshot = table.snapshot()
        for length in 0..<snapshot.count {
            #expect(throws: SnapshotError.self) { try ScopeTable(snapshot: Array(snapshot.prefix(length))) }
        }
        #expect(throws: SnapshotError.self) { try ScopeTable(snapshot: snapshot + [0]) }
        #expect(throws: SnapshotError.self) { try ScopeTable(snapshot: [2] + snapshot.dropFirst()) }
        var random = TestRandom(seed: 5)
        for _ in 0..<3000 {
            var bytes = snapshot
            for _ in 0..<3 {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard var damaged = try? ScopeTable(snapshot: bytes) else { continue }
            _ = damaged.observe(try TestEvents.event(.scopeEnd, 1), tenant: "tenant")
            _ = damaged.snapshot()
        }
    }
}
