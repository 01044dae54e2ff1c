internal import CProtobufC
internal import CSkeinProto

/// Events of one routing key as they travel in a message (`proto/skein/v1/event.proto`).
package struct EventBatch: Sendable {
    let storage: BatchStorage

    /// The most events that a batch may hold.
    package static let maximumCount = BatchStorage.maximumCount

    /// - Throws: `EventError` with reason `undecodable` when the bytes are no batch at all, or one of more than `maximumCount` events.
    ///   Damage inside of one event shows when that event is read.
    package init(unpacking bytes: UnsafeBufferPointer<UInt8>) throws(EventError) {
        storage = try BatchStorage.unpack(batch: bytes)
    }

    /// Unpacks as the initializer above does.
    ///
    /// - Throws: the same.
    package init(unpacking bytes: [UInt8]) throws(EventError) {
        storage = try bytes.withUnsafeBufferPointer { buffer throws(EventError) in
            try BatchStorage.unpack(batch: buffer)
        }
    }

    package var count: Int { storage.count }

    /// Who published the batch; empty when the producer does not say.
    package var producer: String { BatchStorage.text(storage.producer) }

    /// The number of the first event among the producer's events, from 1; 0 when the producer does not count.
    package var sequence: UInt64 { storage.sequence }

    /// The packed bytes of an event, whether it can be read or not.
    package func packedEvent(at index: Int) -> BorrowedBytes { storage.packedEvent(at: index) }

    /// - Throws: `EventError` that names the field.
    package func event(at index: Int) throws(EventError) -> Event {
        guard let fields = storage.event(at: index) else {
            throw EventError(.undecodable, "event \(index + 1) of \(count) is not a packed skein.v1.Event")
        }
        let event = fields.pointee
        let kind = try EventBatch.kind(of: event)
        guard event.uuid.len > 0 else { throw EventError(.missingField, field: "uuid", "is missing") }
        guard let uuid = BatchStorage.uuid(event.uuid) else {
            throw EventError(.invalidField, field: "uuid", "has \(event.uuid.len) bytes, a UUID has 16")
        }
        var parent: EventUUID?
        if event.parent_uuid.len > 0 {
            guard let uuid = BatchStorage.uuid(event.parent_uuid) else {
                throw EventError(
                    .invalidField, field: "parent_uuid", "has \(event.parent_uuid.len) bytes, a UUID has 16")
            }
            parent = uuid
        }
        guard let time = event.timestamp?.pointee else {
            throw EventError(.missingField, field: "timestamp", "is missing")
        }
        guard let timestamp = EventTime(seconds: time.seconds, nanoseconds: time.nanos) else {
            throw EventError(
                .invalidField, field: "timestamp",
                "is \(time.seconds) s and \(time.nanos) ns, allowed are the years 0 to 9999 and up to 999999999 ns")
        }
        var category: Event.Category?
        if event.has_category_case == SKEIN__V1__EVENT__HAS_CATEGORY_CATEGORY {
            category = Event.Category(try EventBatch.checked(event.category, field: "category"))
        } else if kind != .mark {
            throw EventError(.missingField, field: "category", "is missing, every scope has one")
        }
        try EventBatch.checkTexts(of: event)
        return Event(
            kind: kind, uuid: uuid, parentUUID: parent, timestamp: timestamp, category: category, storage: storage,
            index: index,
            fields: UnsafePointer(fields))
    }

    private static func kind(of event: Skein__V1__Event) throws(EventError) -> Event.Kind {
        switch (event.kind, event.phase) {
        case (SKEIN__V1__KIND__KIND_MARK, _): return .mark
        case (SKEIN__V1__KIND__KIND_SCOPE, SKEIN__V1__PHASE__PHASE_START): return .scopeStart
        case (SKEIN__V1__KIND__KIND_SCOPE, SKEIN__V1__PHASE__PHASE_END): return .scopeEnd
        case (SKEIN__V1__KIND__KIND_SCOPE, SKEIN__V1__PHASE__PHASE_UNSPECIFIED):
            throw EventError(.missingField, field: "scope_category", "is missing")
        case (SKEIN__V1__KIND__KIND_SCOPE, _):
            throw EventError(
                .invalidField, field: "scope_category", "is \(event.phase.rawValue), known are 1 (start) and 2 (end)")
        case (SKEIN__V1__KIND__KIND_UNSPECIFIED, _): throw EventError(.missingField, field: "kind", "is missing")
        default:
            throw EventError(
                .invalidField, field: "kind", "is \(event.kind.rawValue), known are 1 (scope) and 2 (mark)")
        }
    }

    private static func checkTexts(of event: Skein__V1__Event) throws(EventError) {
        _ = try checked(event.name, field: "name")
        _ = try checked(event.atof_version, field: "atof_version")
        if let list = event.attributes {
            for index in 0..<event.n_attributes { _ = try checked(list[index], field: "attributes") }
        }
        if let schema = event.data_schema?.pointee {
            _ = try checked(schema.name, field: "data_schema")
            _ = try checked(schema.version, field: "data_schema")
        }
    }

    private static func checked(_ data: ProtobufCBinaryData, field: String) throws(EventError) -> String {
        guard let text = String(validating: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self)
        else {
            throw EventError(.invalidField, field: field, "is not UTF-8")
        }
        return text
    }
}
