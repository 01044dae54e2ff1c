import ATOF
import Middleware
import Testing

@Suite("Worker registry")
struct WorkerRegistryTests {
    private static func registry(
        _ change: (inout WorkerSettings) -> Void = { _ in }
    ) -> WorkerRegistry {
        var settings = WorkerSettings(name: "redactor", surfaces: [.mark])
        change(&settings)
        return WorkerRegistry([settings])
    }

    @Test("an instance is there until three heartbeats are missed")
    func expiry() throws {
        var registry = Self.registry()
        #expect(registry.route("redactor", .mark) == .failure(.gone))
        let first = registry.announced(try WorkerMessages.announcement(), at: .zero)
        #expect(first == [.appeared(worker: "redactor", instance: "one", digest: "d1")])
        #expect(registry.route("redactor", .mark).map(\.digest) == .success("d1"))
        // A heartbeat is no news.
        let second = registry.announced(try WorkerMessages.announcement(), at: .seconds(2))
        #expect(second.isEmpty && registry.deadline == .seconds(5))
        let early = registry.timePassed(.milliseconds(4999))
        #expect(early.isEmpty)
        let late = registry.timePassed(.seconds(5))
        #expect(late == [.expired(worker: "redactor", instance: "one")])
        #expect(registry.instances(of: "redactor") == 0 && registry.route("redactor", .mark) == .failure(.gone))
        #expect(registry.deadline == nil)
    }

    @Test("several instances share one registration, and one that leaves leaves the others")
    func instances() throws {
        var registry = Self.registry()
        for instance in ["one", "two", "three"] {
            _ = registry.announced(try WorkerMessages.announcement(instance: instance), at: .zero)
        }
        #expect(registry.instances(of: "redactor") == 3)
        let left = registry.announced(try WorkerMessages.announcement(instance: "two", leaving: true), at: .seconds(1))
        #expect(left == [.left(worker: "redactor", instance: "two")])
        #expect(registry.instances(of: "redactor") == 2)
        // One that nobody knew leaves nothing.
        let unknown = registry.announced(try WorkerMessages.announcement(instance: "x", leaving: true), at: .seconds(1))
        #expect(unknown.isEmpty)
        #expect(registry.route("redactor", .mark).map(\.digest) == .success("d1"))
    }

    @Test(
        "registrations that contradict each other are settled by the policy",
        arguments: [
            (WorkerSettings.ConflictPolicy.oldest, Result<String, WorkerFailure>.success("old")),
            (.newest, .success("new")), (.fail, .failure(.conflict)),
        ])
    func conflict(_ policy: WorkerSettings.ConflictPolicy, _ expected: Result<String, WorkerFailure>) throws {
        var registry = Self.registry { $0.onConflict = policy }
        // The order of arrival does not matter: collectors hear them in different orders.
        _ = registry.announced(
            try WorkerMessages.announcement(instance: "b", digest: "new", started: 20), at: .zero)
        let notices = registry.announced(
            try WorkerMessages.announcement(instance: "a", digest: "old", started: 10), at: .zero)
        #expect(notices.contains(.conflict(worker: "redactor", digests: ["old", "new"])))
        #expect(registry.route("redactor", .mark).map(\.digest) == expected)
        let again = registry.announced(
            try WorkerMessages.announcement(instance: "c", digest: "new", started: 30), at: .zero)
        #expect(!again.contains { if case .conflict = $0 { true } else { false } }, "it is told once")
        // The one that is left is asked, whatever the policy.
        _ = registry.announced(
            try WorkerMessages.announcement(instance: "a", digest: "old", started: 10, leaving: true), at: .seconds(1))
        #expect(registry.route("redactor", .mark).map(\.digest) == .success("new"))
    }

    @Test("one digest with two forms or sets of surfaces cannot be told apart and is not asked")
    func sameDigest() throws {
        var registry = Self.registry()
        _ = registry.announced(try WorkerMessages.announcement(instance: "a"), at: .zero)
        _ = registry.announced(try WorkerMessages.announcement(instance: "b", encoding: .protobuf), at: .zero)
        #expect(registry.route("redactor", .mark) == .failure(.conflict))
    }

    @Test("a digest that the configuration names is the only one that is asked")
    func pinned() throws {
        var registry = Self.registry { $0.configDigest = "d2" }
        _ = registry.announced(try WorkerMessages.announcement(instance: "a", started: 1), at: .zero)
        #expect(registry.route("redactor", .mark) == .failure(.configMismatch))
        _ = registry.announced(try WorkerMessages.announcement(instance: "b", digest: "d2", started: 2), at: .zero)
        #expect(registry.route("redactor", .mark).map(\.digest) == .success("d2"))
    }

    @Test("a surface that is not offered is told of, and not asked for")
    func lacking() throws {
        var registry = Self.registry { $0.surfaces = [.mark, .scopeEnd] }
        let notices = registry.announced(try WorkerMessages.announcement(), at: .zero)
        #expect(notices.last == .lacks(worker: "redactor", surfaces: [.scopeEnd]))
        #expect(registry.route("redactor", .scopeEnd) == .failure(.gone))
        #expect(registry.route("redactor", .mark).map(\.digest) == .success("d1"))
    }

    @Test("a worker that nobody configured is told of once, and never asked")
    func unconfigured() throws {
        var registry = Self.registry()
        let first = registry.announced(try WorkerMessages.announcement(name: "spy"), at: .zero)
        let second = registry.announced(try WorkerMessages.announcement(name: "spy"), at: .zero)
        #expect(first == [.unconfigured(worker: "spy")] && second.isEmpty)
        #expect(registry.unconfiguredAnnouncements == 2)
        #expect(registry.route("spy", .mark) == .failure(.gone))
        // Names from outside take no memory without a bound.
        for number in 0..<1000 {
            _ = registry.announced(try WorkerMessages.announcement(name: "spy-\(number)"), at: .zero)
        }
        let last = registry.announced(try WorkerMessages.announcement(name: "spy-last"), at: .zero)
        #expect(last.isEmpty)
    }

    @Test("instances have a bound")
    func bound() throws {
        var registry = Self.registry()
        for number in 0..<256 {
            _ = registry.announced(try WorkerMessages.announcement(instance: "i\(number)"), at: .zero)
        }
        let notices = registry.announced(try WorkerMessages.announcement(instance: "more"), at: .zero)
        #expect(notices == [.tooManyInstances(worker: "redactor")] && registry.instances(of: "redactor") == 256)
    }
}
