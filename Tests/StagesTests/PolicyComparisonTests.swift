import Stages
import Testing

@Suite("Comparison of the members' policies")
struct PolicyComparisonTests {
    private static func members(_ policies: KeyValuePairs<String, String?>) -> [MembershipMachine.Sighting] {
        policies.map { id, policy in
            .init(member: .init(id: id, stages: []), isLeaving: false, announced: 0, policy: policy)
        }
    }

    @Test("tells a difference that lasts, once, and when it is over")
    func once() {
        var comparison = PolicyComparison(patience: .seconds(5))
        func compared(_ others: KeyValuePairs<String, String?>, at second: Int) -> PolicyComparison.Notice? {
            comparison.compared("p", with: Self.members(others), now: .seconds(second))
        }
        #expect(compared(["b": "p", "c": "p"], at: 0) == nil)
        #expect(compared(["c": "q", "b": "q", "d": "p"], at: 10) == nil)
        #expect(comparison.differing == 2)
        #expect(compared(["b": "q", "c": "q"], at: 14) == nil)
        #expect(compared(["c": "q", "b": "q"], at: 15) == .differ(["q": ["b", "c"]]))
        #expect(compared(["b": "q", "c": "q"], at: 30) == nil)
        // One member more or less with a policy that was told is no news, another policy is.
        #expect(compared(["b": "q"], at: 31) == nil)
        #expect(compared(["b": "q", "c": "r"], at: 32) == nil)
        #expect(compared(["b": "q", "c": "r"], at: 37) == .differ(["q": ["b"], "r": ["c"]]))
        #expect(compared(["b": "p", "c": "p"], at: 40) == .agree)
        #expect(comparison.differing == 0)
        #expect(compared(["b": "p"], at: 41) == nil)
    }

    @Test("does not tell what a change that all take over looks like meanwhile")
    func change() {
        var comparison = PolicyComparison(patience: .seconds(5))
        let steps: [(own: String, others: KeyValuePairs<String, String?>)] = [
            ("p", ["b": "p", "c": "q"]), ("q", ["b": "p", "c": "q"]), ("q", ["b": "q", "c": "q"]),
        ]
        for (second, step) in steps.enumerated() {
            #expect(
                comparison.compared(step.own, with: Self.members(step.others), now: .seconds(second * 3)) == nil)
        }
    }

    @Test("a member that does not say its policy differs from nobody")
    func silent() {
        var comparison = PolicyComparison(patience: .zero)
        #expect(comparison.compared("p", with: Self.members(["b": nil]), now: .zero) == nil)
        #expect(
            comparison.compared("p", with: Self.members(["b": nil, "c": "q"]), now: .zero) == .differ(["q": ["c"]]))
    }
}
