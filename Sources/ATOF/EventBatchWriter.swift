internal import CProtobufC
internal import CSkeinProto

/// Builds the packed form of an `EventBatch` from events that are packed already.
///
/// Protobuf puts fields one after the other, so a batch is the concatenation of its events' fields, and a field appended to a packed
/// event replaces the one before: no event is unpacked to be passed on.
package struct EventBatchWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0

    package init() {}

    /// Appends a packed event as it is.
    package mutating func append(packed event: UnsafeBufferPointer<UInt8>) {
        header(event.count)
        bytes.append(contentsOf: event)
    }

    package mutating func append(packed event: [UInt8]) {
        event.withUnsafeBufferPointer { append(packed: $0) }
    }

    /// Appends a packed event with its resolved root: field 16, after all others.
    package mutating func append(packed event: UnsafeBufferPointer<UInt8>, root: EventUUID) {
        header(event.count + EventBatchWriter.rootSize)
        bytes.append(contentsOf: event)
        bytes.append(contentsOf: [0x82, 0x01, 16])
        for word in [root.high, root.low] {
            withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
        }
    }

    /// What `root` adds to an event.
    private static let rootSize = 3 + 16

    /// The most that appending an event with its root takes.
    package static func size(ofPacked count: Int) -> Int { count + rootSize + 11 }

    private mutating func header(_ size: Int) {
        bytes.append(0x0A)
        varint(UInt64(size))
        count += 1
    }

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    /// Says who publishes the batch, and the number of its first event.
    package mutating func setProducer(_ producer: String, sequence: UInt64) {
        bytes.append(0x12)
        varint(UInt64(producer.utf8.count))
        bytes.append(contentsOf: producer.utf8)
        bytes.append(0x18)
        varint(sequence)
    }
}

/// The fields of an event that is to be packed.
package struct EventFields: Sendable {
    package var kind: Event.Kind
    package var uuid: EventUUID
    package var parentUUID: EventUUID?
    package var timestamp: EventTime
    package var name: String
    package var category: String?
    package var attributes: [String] = []
    package var dataSchema: Event.DataSchema?
    /// JSON texts; empty means null.
    package var data: [UInt8] = []
    package var metadata: [UInt8] = []
    package var categoryProfile: [UInt8] = []
    package var propagationRootUUID: EventUUID?
    package var atofVersion = "0.1"
    package var unknownFields: [UInt8] = []

    package init(kind: Event.Kind, uuid: EventUUID, timestamp: EventTime, name: String) {
        self.kind = kind
        self.uuid = uuid
        self.timestamp = timestamp
        self.name = name
    }

    /// The packed `skein.v1.Event`.
    package func packed() -> [UInt8] {
        // Everything that the C structure points at lies in one buffer, whose offsets are known before it is filled.
        let texts: [[UInt8]] =
            [
                uuid.bytes, parentUUID?.bytes ?? [], Array(name.utf8), Array((category ?? "").utf8), data, metadata,
                categoryProfile, propagationRootUUID?.bytes ?? [], Array(atofVersion.utf8), unknownFields,
                Array((dataSchema?.name ?? "").utf8), Array((dataSchema?.version ?? "").utf8),
            ] + attributes.map { Array($0.utf8) }
        var joined = texts.flatMap(\.self)
        return joined.withUnsafeMutableBufferPointer { buffer in
            var offset = 0
            var references = texts.map { text in
                defer { offset += text.count }
                return ProtobufCBinaryData(len: text.count, data: buffer.baseAddress.map { $0 + offset })
            }
            var time = Skein__V1__Timestamp()
            skein__v1__timestamp__init(&time)
            time.seconds = timestamp.seconds
            time.nanos = timestamp.nanoseconds
            var schema = Skein__V1__DataSchema()
            skein__v1__data_schema__init(&schema)
            schema.name = references[10]
            schema.version = references[11]
            var event = Skein__V1__Event()
            skein__v1__event__init(&event)
            switch kind {
            case .scopeStart: (event.kind, event.phase) = (SKEIN__V1__KIND__KIND_SCOPE, SKEIN__V1__PHASE__PHASE_START)
            case .scopeEnd: (event.kind, event.phase) = (SKEIN__V1__KIND__KIND_SCOPE, SKEIN__V1__PHASE__PHASE_END)
            case .mark: event.kind = SKEIN__V1__KIND__KIND_MARK
            }
            event.uuid = references[0]
            event.parent_uuid = references[1]
            event.name = references[2]
            if category != nil {
                event.has_category_case = SKEIN__V1__EVENT__HAS_CATEGORY_CATEGORY
                event.category = references[3]
            }
            event.data = references[4]
            event.metadata = references[5]
            event.category_profile = references[6]
            event.propagation_root_uuid = references[7]
            event.atof_version = references[8]
            event.unknown_fields = references[9]
            event.n_attributes = attributes.count
            return withUnsafeMutablePointer(to: &time) { time in
                event.timestamp = time
                return withUnsafeMutablePointer(to: &schema) { schema in
                    if dataSchema != nil { event.data_schema = schema }
                    return references.withUnsafeMutableBufferPointer { list in
                        event.attributes = list.baseAddress.map { $0 + (list.count - attributes.count) }
                        return EventFields.pack(&event)
                    }
                }
            }
        }
    }

    private static func pack(_ event: inout Skein__V1__Event) -> [UInt8] {
        let size = skein__v1__event__get_packed_size(&event)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = skein__v1__event__pack(&event, buffer.baseAddress)
        }
    }
}
