package import ATOF

/// The events of an input in order, as a stream would hold them: the first has the sequence 1.
package struct EventLog {
    package private(set) var events: [Event] = []

    /// Lines that are no events are left out.
    package init(lines text: [UInt8]) {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let packed = try? EventJSONDecoder.decode(Array(line)).packed(),
                let event = EventLog.event(packed: packed)
            else { continue }
            // As `process` stores it.
            events.append(event.repaired().flatMap(EventLog.event) ?? event)
        }
    }

    private static func event(packed: [UInt8]) -> Event? {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try? EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    var batch: [UInt8] {
        var writer = EventBatchWriter()
        for event in events { writer.append(packed: event.packed.array) }
        writer.setProducer("producer", sequence: 1)
        return writer.bytes
    }

    static func reference(_ index: Int) -> EventReference { EventReference(sequence: UInt64(index + 1), index: 0) }

    /// The packed event at a reference; nil for one that is not in the log.
    func packed(at reference: EventReference) -> [UInt8]? {
        guard reference.index == 0, reference.sequence > 0, reference.sequence <= events.count else { return nil }
        return events[Int(reference.sequence) - 1].packed.array
    }
}
