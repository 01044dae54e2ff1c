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

    /// As `process` stores it, with the run's root.
    static func packed(_ fields: EventFields, root: EventUUID?) throws -> [UInt8] {
        guard let root else { return fields.packed() }
        var writer = EventBatchWriter()
        fields.packed().withUnsafeBufferPointer { writer.append(packed: $0, root: root) }
        return try EventBatch(unpacking: writer.bytes).packedEvent(at: 0).array
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
    private(set) var outputs: [ProjectionOutput] = []
    /// Events that cannot be read again.
    var gone: Set<UInt64> = []

    init(_ configuration: ProjectionConfiguration) { projector = SpanProjector(configuration: configuration) }

    init(_ projection: ProjectionConfiguration.Projection = .full) { self.init(.init(projection: projection)) }

    @discardableResult
    mutating func receive(_ fields: EventFields) throws -> [ProjectedSpan] { try receive(packed: fields.packed()) }

    /// A message with one event.
    @discardableResult
    mutating func receive(
        packed: [UInt8], of tenant: String = "", at time: UInt64 = 0, isExpired: Bool = false
    ) throws -> [ProjectedSpan] {
        log.append(packed)
        var output = ProjectionOutput()
        projector.advance(to: time, into: &output)
        leave(&output)
        let event = try Events.event(packed)
        let references = Set(projector.references(for: event, of: tenant))
        let (log, gone) = (log, gone)
        projector.receive(
            event, at: EventReference(sequence: UInt64(log.count), index: 0), of: tenant, isExpired: isExpired,
            into: &output
        ) { references.contains($0) && !gone.contains($0.sequence) ? log[Int($0.sequence) - 1] : nil }
        projector.enforceBounds(after: output.received.last?.run)
        leave(&output)
        projector.unload()
        outputs.append(output)
        spans += output.spans.map(\.span)
        return output.spans.map(\.span)
    }

    /// A message without events.
    @discardableResult
    mutating func tick(_ time: UInt64) -> [ProjectedSpan] {
        var output = ProjectionOutput()
        projector.advance(to: time, into: &output)
        leave(&output)
        outputs.append(output)
        spans += output.spans.map(\.span)
        return output.spans.map(\.span)
    }

    private mutating func leave(_ output: inout ProjectionOutput) {
        let (log, gone) = (log, gone)
        while projector.hasLeaving {
            let references = Set(projector.leavingReferences(2))
            projector.leave(2, into: &output) {
                references.contains($0) && !gone.contains($0.sequence) ? log[Int($0.sequence) - 1] : nil
            }
        }
    }

    var deadline: UInt64? {
        var projector = projector
        return projector.nextDeadline()
    }

    /// The same, stopped and continued.
    func restored() throws -> Run {
        var restored = self
        restored.projector = try SpanProjector(configuration: projector.configuration, snapshot: projector.snapshot())
        return restored
    }

    /// Starts a scope and ends it a second later.
    @discardableResult
    mutating func scope(_ number: UInt64, parent: EventUUID? = nil, at seconds: Double = 0) throws -> ProjectedSpan {
        try receive(Events.fields(.scopeStart, Events.uuid(number), parent: parent, at: seconds))
        return try #require(
            try receive(Events.fields(.scopeEnd, Events.uuid(number), parent: parent, at: seconds + 1)).first)
    }

    /// Events by what became of them; the rest of what was received is open.
    var books: (received: Int, inSpans: Int, notProjected: Int, expired: Int) {
        var books = (received: 0, inSpans: 0, notProjected: 0, expired: 0)
        for output in outputs {
            books.received += output.received.reduce(0) { $0 + $1.events }
            books.inSpans += output.spans.reduce(0) { $0 + $1.events }
            for settled in output.settled {
                switch settled.fate {
                case .notProjected: books.notProjected += settled.events
                case .expired: books.expired += settled.events
                }
            }
        }
        return books
    }
}

extension ProjectedSpan {
    subscript(key: String) -> AttributeValue? { attributes.last { $0.key == key }?.value }
}

extension ProjectedSpan.Event {
    subscript(key: String) -> AttributeValue? { attributes.last { $0.key == key }?.value }
}
