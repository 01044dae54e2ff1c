internal import ATOF

enum EventProperties {
    /// A line that is an event is one that can be packed, read and written as a line again.
    static func check(line: [UInt8]) throws(FuzzFailure) {
        guard let fields = try? EventJSONDecoder.decode(line) else { return }
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        try FuzzFailure.unless(try check(batch: writer.bytes) == 1, "a line that was read makes no event")
    }

    /// - Returns: how many events of the batch can be read.
    @discardableResult
    static func check(batch bytes: [UInt8]) throws(FuzzFailure) -> Int {
        guard let batch = try? EventBatch(unpacking: bytes) else { return 0 }
        _ = (batch.producer, batch.sequence)
        var readable = 0
        for index in 0..<batch.count {
            guard let event = try? batch.event(at: index) else { continue }
            readable += 1
            try check(event)
        }
        return readable
    }

    private static func check(_ event: Event) throws(FuzzFailure) {
        _ = (
            event.attributes, event.dataSchema, event.rootUUID, event.propagationRootUUID,
            event.timestamp.epochNanoseconds
        )
        let repaired = event.repaired()
        let sound = try repaired.map { (packed) throws(FuzzFailure) in try read(packed) } ?? event
        try FuzzFailure.unless(sound.repaired() == nil, "what was repaired needs a repair")
        let line = EventJSONEncoder.line(sound)
        guard let fields = try? EventJSONDecoder.decode(line) else {
            throw FuzzFailure("an event's line cannot be read: \(String(decoding: line.prefix(300), as: UTF8.self))")
        }
        let again = EventJSONEncoder.line(try read(fields.packed()))
        try FuzzFailure.unless(again == line, "an event's line reads as another event")
    }

    private static func read(_ packed: [UInt8]) throws(FuzzFailure) -> Event {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        guard let event = try? EventBatch(unpacking: writer.bytes).event(at: 0) else {
            throw FuzzFailure("what was packed cannot be read")
        }
        return event
    }
}
