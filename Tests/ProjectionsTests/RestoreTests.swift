import ATOF
import OTLP
import Testing

@testable import Projections

/// Random streams of two tenants: scopes that end early, late, twice or never, marks, children before parents, and time.
@Suite("Span projector, at random")
struct RestoreTests {
    private struct Message {
        let packed: [UInt8]?
        let tenant: String
        let time: UInt64
        let isExpired: Bool
    }

    private static func messages(seed: UInt64) throws -> [Message] {
        var random = TestRandom(seed: seed)
        var time: UInt64 = 0
        var messages: [Message] = []
        for number in 0..<70 {
            time += .random(in: 0...6, using: &random)
            let tenant = Bool.random(using: &random) ? "a" : "b"
            guard Int.random(in: 0..<10, using: &random) > 0 else {
                messages.append(Message(packed: nil, tenant: tenant, time: time, isExpired: false))
                continue
            }
            let root = UInt64.random(in: 1...3, using: &random) * 10
            let scope = root + .random(in: 0...5, using: &random)
            let parent = scope == root ? nil : Events.uuid(root + .random(in: 0...5, using: &random))
            let kind = [Event.Kind.scopeStart, .scopeEnd, .mark].randomElement(using: &random) ?? .mark
            let fields = Events.fields(
                kind, kind == .mark ? Events.uuid(1000 + UInt64(number)) : Events.uuid(scope),
                parent: kind == .mark ? Events.uuid(scope) : parent, at: Double(time),
                data: "{\"n\":\(number)}",
                metadata: Int.random(in: 0..<4, using: &random) == 0 ? #"{"otel.status_code":"ERROR"}"# : "")
            let stamped = Bool.random(using: &random) ? Events.uuid(root) : nil
            messages.append(
                Message(
                    packed: try Events.packed(fields, root: stamped), tenant: tenant, time: time,
                    isExpired: Int.random(in: 0..<12, using: &random) == 0))
        }
        messages.append(Message(packed: nil, tenant: "a", time: time + 1000, isExpired: false))
        return messages
    }

    private static func configuration(seed: UInt64) -> ProjectionConfiguration {
        var configuration = ProjectionConfiguration(
            projection: seed % 2 == 0 ? .full : .openinference, maximumOpenSpans: seed % 3 == 0 ? 5 : 100,
            idle: 25, maximumAge: 60)
        configuration.earlyEndLinger = 15
        configuration.maximumEarlyEnds = 3
        return configuration
    }

    private static func run(_ message: Message, _ run: inout Run) throws {
        if let packed = message.packed {
            try run.receive(packed: packed, of: message.tenant, at: message.time, isExpired: message.isExpired)
        } else {
            run.tick(message.time)
        }
    }

    @Test("continues exactly, wherever it is stopped", arguments: 1...12 as ClosedRange<UInt64>)
    func everyStop(seed: UInt64) throws {
        let messages = try Self.messages(seed: seed)
        var whole = Run(Self.configuration(seed: seed))
        var stopped: [Run] = []
        for message in messages {
            stopped.append(try whole.restored())
            #expect(stopped.last?.projector.snapshot() == whole.projector.snapshot())
            try Self.run(message, &whole)
        }
        #expect(!whole.spans.isEmpty)
        for (cut, run) in stopped.enumerated() {
            var run = run
            for message in messages[cut...] { try Self.run(message, &run) }
            #expect(run.spans.map(SpanEncoder.encode) == whole.spans.map(SpanEncoder.encode), "stopped before \(cut)")
            #expect(run.books == whole.books)
            #expect(run.projector.snapshot() == whole.projector.snapshot())
        }
    }

    @Test(
        "puts out the same when it is stopped after every message, or holds no payload",
        arguments: 20...40 as ClosedRange<UInt64>)
    func always(seed: UInt64) throws {
        var configuration = Self.configuration(seed: seed)
        var whole = Run(configuration)
        var restarted = Run(configuration)
        configuration.maximumHeldBytes = 0
        var unloaded = Run(configuration)
        for message in try Self.messages(seed: seed) {
            try Self.run(message, &whole)
            restarted = try restarted.restored()
            try Self.run(message, &restarted)
            try Self.run(message, &unloaded)
            #expect(unloaded.projector.heldBytes == 0)
        }
        let expected = whole.spans.map(SpanEncoder.encode)
        #expect(
            restarted.spans.map(SpanEncoder.encode) == expected && unloaded.spans.map(SpanEncoder.encode) == expected)
        #expect(unloaded.projector.counters.unloaded > 0)
        #expect(whole.projector.heldBytes == 0)
    }

    @Test("every event ends in a span or is settled, once", arguments: 50...80 as ClosedRange<UInt64>)
    func balance(seed: UInt64) throws {
        let messages = try Self.messages(seed: seed)
        var run = Run(Self.configuration(seed: seed))
        for message in messages { try Self.run(message, &run) }
        let books = run.books
        #expect(books.received == messages.count { $0.packed != nil })
        #expect(books.received == books.inSpans + books.notProjected + books.expired)
        #expect(run.projector.openSpanCount == 0 && run.deadline == nil)
        #expect(run.projector.oldestReference == nil)
    }

    @Test("restores 100,000 open spans without reading one")
    func manySpans() throws {
        var projector = SpanProjector(configuration: .init(projection: .full, idle: 1))
        var output = ProjectionOutput()
        for number in 0..<100_000 as Range<UInt64> {
            let fields = Events.fields(.scopeStart, Events.uuid(number), parent: number == 0 ? nil : Events.uuid(0))
            projector.receive(
                try Events.event(fields.packed()), at: EventReference(sequence: number + 1, index: 0), of: "t",
                into: &output
            ) { _ in nil }
        }
        let snapshot = projector.snapshot()
        let begun = ContinuousClock.now
        var restored = try SpanProjector(configuration: projector.configuration, snapshot: snapshot)
        // In a debug build; optimized it is many times faster.
        #expect(begun.duration(to: .now) < .seconds(20))
        #expect(restored.openSpanCount == 100_000 && restored.heldBytes == 0)
        #expect(restored.oldestReference == EventReference(sequence: 1, index: 0))
        restored.advance(to: 10, into: &output)
        #expect(restored.leavingReferences(2).map(\.sequence) == [1, 2])
    }
}

/// A linear congruential sequence, the same in every run.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}
