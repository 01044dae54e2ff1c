internal import CProtobufC
internal import CSkeinProto

/// Events of one routing key as they travel in a message (`proto/skein/v1/event.proto`).
package struct EventBatch: Sendable {
    let storage: BatchStorage

    /// - Throws: `EventError` with reason `undecodable` when the bytes are no batch at all. Damage inside of one event shows when that
    ///   event is read.
    package init(unpacking bytes: UnsafeBufferPointer<UInt8>) throws(EventError) {
        guard let storage = BatchStorage.unpack(batch: bytes) else {
            throw EventError(.undecodable, "the message is not a packed skein.v1.EventBatch of \(bytes.count) bytes")
        }
        self.storage = storage
    }

    package init(unpacking bytes: [UInt8]) throws(EventError) {
        let result: Result<EventBatch, EventError> = bytes.withUnsafeBufferPointer { buffer in
            do throws(EventError) { return .success(try EventBatch(unpacking: buffer)) } catch { return .failure(error) }
        }
        self = try result.get()
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
                throw EventError(.invalidField, field: "parent_uuid", "has \(event.parent_uuid.len) bytes, a UUID has 16")
            }
            parent = uuid
        }
        guard let time = event.timestamp?.pointee else { throw EventError(.missingField, field: "timestamp", "is missing") }
        guard let timestamp = EventTime(seconds: time.seconds, nanoseconds: time.nanos) else {
            throw EventError(.invalidField, field: "timestamp", "nanos is \(time.nanos), the most is 999999999")
        }
        var category: Event.Category?
        if event.has_category_case == SKEIN__V1__EVENT__HAS_CATEGORY_CATEGORY {
            category = Event.Category(try EventBatch.checked(event.category, field: "category"))
        } else if kind != .mark {
            throw EventError(.missingField, field: "category", "is missing, every scope has one")
        }
        _ = try EventBatch.checked(event.name, field: "name")
        return Event(
            kind: kind, uuid: uuid, parentUUID: parent, timestamp: timestamp, category: category, storage: storage, index: index,
            fields: UnsafePointer(fields))
    }

    private static func kind(of event: Skein__V1__Event) throws(EventError) -> Event.Kind {
        switch (event.kind, event.phase) {
        case (SKEIN__V1__KIND__KIND_MARK, _): return .mark
        case (SKEIN__V1__KIND__KIND_SCOPE, SKEIN__V1__PHASE__PHASE_START): return .scopeStart
        case (SKEIN__V1__KIND__KIND_SCOPE, SKEIN__V1__PHASE__PHASE_END): return .scopeEnd
        case (SKEIN__V1__KIND__KIND_SCOPE, _):
            throw EventError(
                .missingField, field: "scope_category", "is \(event.phase.rawValue), a scope event is a 1 (start) or a 2 (end)")
        default:
            throw EventError(.invalidField, field: "kind", "is \(event.kind.rawValue), known are 1 (scope) and 2 (mark)")
        }
    }

    private static func checked(_ data: ProtobufCBinaryData, field: String) throws(EventError) -> String {
        guard let text = String(validating: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self) else {
            throw EventError(.invalidField, field: field, "is not UTF-8")
        }
        return text
    }
}
