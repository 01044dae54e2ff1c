import ATOF
import Stages
import Testing

@Suite("Names on the bus")
struct SkeinSubjectsTests {
    @Test("are what publishers and subscribers rely on")
    func subjects() {
        #expect(SkeinSubjects.events(tenant: "acme", key: "k") == "skein.v1.events.acme.k")
        #expect(SkeinSubjects.eventsFilter(partition: 3) == "skein.v1.events.3.>")
        #expect(SkeinSubjects.processed(tenant: "acme", partition: 1, source: 2) == "skein.v1.processed.acme.1.2")
        #expect(SkeinSubjects.processedFilter(partition: 1) == "skein.v1.processed.*.1.*")
        let id = "019b7711-9a74-7090-0000-000000000001"
        #expect(SkeinSubjects.trajectory(tenant: "acme", id: TestEvents.uuid(1)) == "skein.v1.trajectories.acme.\(id)")
        #expect(
            SkeinSubjects.trajectoryChunk(tenant: "acme", id: TestEvents.uuid(1), revision: 4, number: 0)
                == "skein.v1.trajectories.acme.\(id).body.4.0")
        #expect(SkeinSubjects.dead(stage: "process", tenant: "acme") == "skein.v1.dead.process.acme")
        #expect(SkeinSubjects.tenant(ofStoredEvents: "skein.v1.events.3.acme.key") == "acme")
        #expect(SkeinSubjects.tenant(ofProcessed: "skein.v1.processed.acme.1.2") == "acme")
        #expect(SkeinSubjects.tenant(ofStoredEvents: "skein.v1.events.3") == nil)
    }

    @Test(
        "match [a-z0-9_-]+",
        arguments: [
            ("a", true), ("a-b_9", true), ("", false), ("A", false), ("a.b", false), ("ä", false), ("a b", false),
            ("*", false),
        ])
    func names(text: String, isName: Bool) {
        #expect(SkeinSubjects.isName(text) == isName)
    }

    @Test(
        "include media types without their parameters, in lower case",
        arguments: [
            ("application/x-ndjson", "application/x-ndjson"),
            ("Application/X-NDJSON; charset=utf-8", "application/x-ndjson"),
            ("application/x-protobuf ;x", "application/x-protobuf"), ("", ""),
        ])
    func mediaTypes(text: String, type: String) {
        #expect(SkeinHeaders.mediaType(text) == type)
    }

    @Test("include source positions that are read back", arguments: ["0.0", "18446744073709551615.7"])
    func position(text: String) throws {
        let position = try #require(EventReference(text))
        #expect(position.description == text)
    }

    @Test(
        "include no other positions",
        arguments: ["", "1", "1.", ".1", "1.2.3", "-1.0", "1.-1", "18446744073709551616.0", "a.b", "1.0 "])
    func noPosition(text: String) {
        #expect(EventReference(text) == nil)
    }

    @Test("order positions by sequence, then by index")
    func order() {
        let ascending = [
            EventReference.start, .init(sequence: 1, index: 9), .init(sequence: 2, index: 0),
            .init(sequence: 10, index: 0),
        ]
        #expect(ascending.reversed().sorted() == ascending)
    }
}
