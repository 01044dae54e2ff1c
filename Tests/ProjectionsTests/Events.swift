import ATOF
import Foundation
import Projections
import Testing

/// Packed events from what a test says about them.
enum Events {
    static let root = EventUUID(high: 0x0101_0101_0101_0101, low: 0x1111_1111_1111_1111)

    static func uuid(_ number: UInt64) -> EventUUID { EventUUID(high: 0xA0_0000 + number, low: 0xB0_0000 + number) }

    static func time(_ seconds: Double) -> EventTime {
        EventTime(epochMicroseconds: Int64((1_000_000 + seconds) * 1_000_000))
    }

    static func fields(
        _ kind: Event.Kind, _ uuid: EventUUID, parent: EventUUID? = nil, at seconds: Double = 0, name: String = "n",
        category: String? = "function", data: String = "", metadata: String = "", profile: String = "",
        propagationRoot: EventUUID? = nil
    ) -> EventFields {
        var fields = EventFields(kind: kind, uuid: uuid, timestamp: time(seconds), name: name)
        fields.parentUUID = parent
        fields.category = kind == .mark && category == "function" ? nil : category
        fields.data = Array(data.utf8)
        fields.metadata = Array(metadata.utf8)
        fields.categoryProfile = Array(profile.utf8)
        fields.propagationRootUUID = propagationRoot
        return fields
    }

    static func event(_ packed: [UInt8]) throws -> Event {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    /// The packed events of a recorded case.
    static func ofCase(_ name: String) throws -> [[UInt8]] {
        try bytes(name, "events.jsonl").split(separator: UInt8(ascii: "\n")).map {
            try EventJSONDecoder.decode(Array($0)).packed()
        }
    }

    static func bytes(_ name: String, _ file: String) throws -> [UInt8] {
        let url = try #require(Bundle.module.resourceURL).appendingPathComponent("Cases/\(name)/\(file)")
        return Array(try Data(contentsOf: url))
    }
}

/// A projector with a log of what it read.
struct Run {
    var projector: SpanProjector
    private(set) var log: [[UInt8]] = []
    private(set) var spans: [ProjectedSpan] = []

    init(_ configuration: ProjectionConfiguration) { projector = SpanProjector(configuration: configuration) }

    init(_ projection: ProjectionConfiguration.Projection = .full) { self.init(.init(projection: projection)) }

    @discardableResult
    mutating func receive(_ fields: EventFields) throws -> [ProjectedSpan] { try receive(packed: fields.packed()) }

    @discardableResult
    mutating func receive(packed: [UInt8]) throws -> [ProjectedSpan] {
        log.append(packed)
        let finished = projector.receive(
            try Events.event(packed), at: EventReference(sequence: UInt64(log.count), index: 0))
        spans += finished
        return finished
    }

    /// Starts a scope and ends it a second later.
    @discardableResult
    mutating func scope(_ number: UInt64, parent: EventUUID? = nil, at seconds: Double = 0) throws -> ProjectedSpan {
        try receive(Events.fields(.scopeStart, Events.uuid(number), parent: parent, at: seconds))
        return try #require(
            try receive(Events.fields(.scopeEnd, Events.uuid(number), parent: parent, at: seconds + 1)).first)
    }

    func read(_ reference: EventReference) -> [UInt8]? { log[Int(reference.sequence) - 1] }
}

extension ProjectedSpan {
    subscript(key: String) -> AttributeValue? { attributes.last { $0.key == key }?.value }
}

extension ProjectedSpan.Event {
    subscript(key: String) -> AttributeValue? { attributes.last { $0.key == key }?.value }
}
