internal import CSkeinProto

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
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256 + data.count + metadata.count + categoryProfile.count + unknownFields.count)
        switch kind {
        case .scopeStart, .scopeEnd:
            let phase = kind == .scopeStart ? SKEIN__V1__PHASE__PHASE_START : SKEIN__V1__PHASE__PHASE_END
            bytes.appendField(1, varint: UInt64(SKEIN__V1__KIND__KIND_SCOPE.rawValue))
            bytes.appendField(2, varint: UInt64(phase.rawValue))
        case .mark:
            bytes.appendField(1, varint: UInt64(SKEIN__V1__KIND__KIND_MARK.rawValue))
        }
        bytes.appendField(3, uuid: uuid)
        if let parentUUID { bytes.appendField(4, uuid: parentUUID) }
        appendTimestamp(to: &bytes)
        bytes.appendField(6, bytes: name.utf8)
        if let category { bytes.appendField(7, bytes: category.utf8) }
        for attribute in attributes { bytes.appendField(8, bytes: attribute.utf8) }
        if let dataSchema {
            var schema: [UInt8] = []
            schema.appendField(1, bytes: dataSchema.name.utf8)
            schema.appendField(2, bytes: dataSchema.version.utf8)
            bytes.appendField(9, bytes: schema)
        }
        if !data.isEmpty { bytes.appendField(10, bytes: data) }
        if !metadata.isEmpty { bytes.appendField(11, bytes: metadata) }
        if !categoryProfile.isEmpty { bytes.appendField(12, bytes: categoryProfile) }
        if let propagationRootUUID { bytes.appendField(13, uuid: propagationRootUUID) }
        bytes.appendField(14, bytes: atofVersion.utf8)
        if !unknownFields.isEmpty { bytes.appendField(15, bytes: unknownFields) }
        return bytes
    }

    /// The message `Timestamp`, put in place: its length is known only afterwards, and is one byte.
    private func appendTimestamp(to bytes: inout [UInt8]) {
        bytes.appendHeader(5, count: 0)
        let start = bytes.count
        // `sint64` puts the sign into the lowest bit.
        bytes.appendField(1, varint: UInt64(bitPattern: timestamp.seconds << 1 ^ timestamp.seconds >> 63))
        bytes.appendField(2, varint: UInt64(timestamp.nanoseconds))
        bytes[start - 1] = UInt8(bytes.count - start)
    }
}
