import ATOF

/// Small events for tests: scopes are named by numbers.
enum TestEvents {
    static func uuid(_ number: UInt64) -> EventUUID { EventUUID(high: 0x019B_7711_9A74_7090, low: number) }

    static func fields(
        _ kind: Event.Kind, _ scope: UInt64, parent: UInt64? = nil, propagated: UInt64? = nil,
        category: String? = "tool"
    ) -> EventFields {
        var fields = EventFields(
            kind: kind, uuid: uuid(scope), timestamp: EventTime(epochMicroseconds: 1_767_225_600_000_000),
            name: "scope \(scope)")
        fields.parentUUID = parent.map(uuid)
        fields.propagationRootUUID = propagated.map(uuid)
        fields.category = category
        return fields
    }

    static func batch(_ events: [[UInt8]]) -> [UInt8] {
        var writer = EventBatchWriter()
        for event in events { writer.append(packed: event) }
        return writer.bytes
    }

    static func event(
        _ kind: Event.Kind, _ scope: UInt64, parent: UInt64? = nil, propagated: UInt64? = nil
    ) throws -> Event {
        try EventBatch(unpacking: batch([fields(kind, scope, parent: parent, propagated: propagated).packed()])).event(
            at: 0)
    }

    static func line(_ fields: EventFields) throws -> String {
        String(
            decoding: EventJSONEncoder.line(try EventBatch(unpacking: batch([fields.packed()])).event(at: 0)),
            as: UTF8.self)
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
