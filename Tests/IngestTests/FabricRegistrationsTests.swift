import ATOF
import Ingest
import Testing

@Suite("Requests whose records somebody wants to see")
struct FabricRegistrationsTests {
    private static func made() -> FabricRegistrations<Int> {
        var limits = FabricRegistrations<Int>.Limits()
        (limits.requests, limits.requestsPerTenant, limits.scopesPerTenant) = (3, 2, 2)
        return FabricRegistrations(limits)
    }

    private static func fields(
        _ kind: Event.Kind, _ number: UInt8, parent: UInt8? = nil, request: String? = nil
    ) throws -> EventFields {
        func uuid(_ number: UInt8) throws -> EventUUID {
            try #require(EventUUID("0190f6a0-0000-7000-8000-0000000000\(10 + number)"))
        }
        let time = try #require(EventTime(rfc3339: "2026-01-01T00:00:00Z"))
        var fields = EventFields(kind: kind, uuid: try uuid(number), timestamp: time, name: "n")
        fields.parentUUID = try parent.map(uuid)
        fields.metadata = request.map { Array("{\"nemo_fabric_request_id\":\"\($0)\"}".utf8) } ?? []
        return fields
    }

    @Test("are so many of a tenant, and so many in all")
    func limits() throws {
        var made = Self.made()
        try made.register("r1", "a", 1, now: .zero)
        try made.register("r2", "a", 2, now: .zero)
        #expect(throws: IngestRefusal.self) { try made.register("r3", "a", 3, now: .zero) }
        try made.register("r1", "b", 4, now: .zero)
        #expect(throws: IngestRefusal.self) { try made.register("r1", "c", 5, now: .zero) }
        #expect(made.deregister("r1", "a") == 1)
        #expect(made.deregister("r1", "a") == nil)
        #expect(throws: IngestRefusal.self) { try made.register("r2", "a", 3, now: .zero) }
        try made.register("r1", "c", 5, now: .zero)
        #expect(made.count == 3)
        #expect(made.stream(of: "r1", "c") == 5)
        #expect(made.stream(of: "r1", "a") == nil)
    }

    @Test("end when nobody has looked at them for an hour")
    func expiry() throws {
        var made = Self.made()
        try made.register("r1", "a", 1, now: .zero)
        try made.register("r2", "a", 2, now: .seconds(1800))
        #expect(made.expire(now: .seconds(3600)) { $0 == 1 } == [])
        #expect(made.expire(now: .seconds(5401)) { _ in false } == [2])
        #expect(made.expire(now: .seconds(7201)) { _ in false } == [1])
        #expect(made.count == 0)
    }

    @Test("have the records of the scopes that name them, and what is below")
    func owners() throws {
        var made = Self.made()
        try made.register("r1", "a", 1, now: .zero)
        #expect(made.owner(of: try Self.fields(.scopeStart, 1, request: "r2"), "a")?.stream == nil)
        #expect(made.owner(of: try Self.fields(.scopeStart, 1, request: "r1"), "b")?.stream == nil)
        #expect(made.owner(of: try Self.fields(.scopeStart, 1, request: "r1"), "a")?.stream == 1)
        #expect(made.owner(of: try Self.fields(.scopeStart, 2, parent: 1), "a")?.stream == 1)
        #expect(made.owner(of: try Self.fields(.mark, 3, parent: 2), "a")?.stream == 1)
        #expect(made.owner(of: try Self.fields(.mark, 4, parent: 3), "a")?.stream == nil)
        // No more scopes are remembered while both are open; they are shown all the same.
        let forgotten = try #require(made.owner(of: try Self.fields(.scopeStart, 5, parent: 1), "a"))
        #expect(forgotten.stream == 1 && forgotten.isForgotten)
        #expect(made.owner(of: try Self.fields(.mark, 6, parent: 5), "a")?.stream == nil)
        #expect(made.owner(of: try Self.fields(.scopeEnd, 2), "a")?.stream == 1)
        #expect(made.owner(of: try Self.fields(.mark, 6, parent: 2), "a")?.stream == 1)
        #expect(made.deregister("r1", "a") == 1)
        try made.register("r1", "a", 7, now: .zero)
        #expect(made.owner(of: try Self.fields(.scopeEnd, 1), "a")?.stream == nil)
    }

    @Test("know a scope that has ended until another one needs its place, the first to end first")
    func ends() throws {
        var made = Self.made()
        try made.register("r1", "a", 1, now: .zero)
        #expect(made.owner(of: try Self.fields(.scopeStart, 1, request: "r1"), "a")?.stream == 1)
        for number in UInt8(2)...50 {
            let started = made.owner(of: try Self.fields(.scopeStart, number, parent: 1), "a")
            #expect(started?.stream == 1 && started?.isForgotten == false)
            #expect(made.owner(of: try Self.fields(.scopeEnd, number), "a")?.stream == 1)
            #expect(made.owner(of: try Self.fields(.mark, 60, parent: number), "a")?.stream == 1)
        }
        #expect(made.owner(of: try Self.fields(.mark, 60, parent: 49), "a")?.stream == nil)
        // One that begins again is open again.
        #expect(made.owner(of: try Self.fields(.scopeStart, 50, parent: 1), "a")?.isForgotten == false)
        #expect(made.owner(of: try Self.fields(.scopeStart, 51, parent: 1), "a")?.isForgotten == true)
    }
}
