/// A request to a worker: items of one tenant for one surface (`proto/skein/v1/worker.proto`).
package struct WorkerCall: Sendable {
    /// One thing to decide about.
    package enum Item: Sendable, Hashable {
        /// A packed `skein.v1.Event`.
        case event([UInt8])
        /// A payload, or null, of the tool or model call `name`.
        case value(JSONValue, name: String)

        /// What it adds to a protobuf call, at the most; in JSON it is of the same order.
        package var size: Int {
            switch self {
            case .event(let packed): packed.count + 16
            case .value(let value, let name): value.compactText.utf8.count + name.utf8.count + 24
            }
        }
    }

    package let id: String
    package let surface: WorkerSurface
    package let tenant: String
    /// Milliseconds since 1970.
    package let deadline: UInt64
    package let timeoutMillis: UInt32
    package let items: [Item]

    package init(
        id: String, surface: WorkerSurface, tenant: String, deadline: UInt64, timeoutMillis: UInt32, items: [Item]
    ) {
        self.id = id
        self.surface = surface
        self.tenant = tenant
        self.deadline = deadline
        self.timeoutMillis = timeoutMillis
        self.items = items
    }

    package func encoded(as encoding: WorkerEncoding) -> [UInt8] {
        switch encoding {
        case .protobuf: packed()
        case .json: json()
        }
    }

    private func packed() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendField(1, bytes: id.utf8)
        bytes.appendField(2, varint: UInt64(surface.number))
        bytes.appendField(3, bytes: tenant.utf8)
        bytes.appendField(4, varint: deadline)
        bytes.appendField(5, varint: UInt64(timeoutMillis))
        for item in items {
            var packed: [UInt8] = []
            switch item {
            case .event(let event): packed.appendField(1, bytes: event)
            case .value(let value, let name):
                packed.appendField(2, bytes: value.compactText.utf8)
                packed.appendField(3, bytes: name.utf8)
            }
            bytes.appendField(6, bytes: packed)
        }
        return bytes
    }

    private func json() -> [UInt8] {
        let items = items.map { item -> JSONValue in
            switch item {
            case .event(let packed): ["event": WorkerCall.json(ofPacked: packed)]
            case .value(let value, let name): ["value": value, "name": .string(name)]
            }
        }
        var writer = JSONWriter()
        writer.write([
            "call": .string(id), "surface": .string(surface.rawValue), "tenant": .string(tenant),
            "deadline_unix_millis": .int(Int64(clamping: deadline)), "timeout_millis": .int(Int64(timeoutMillis)),
            "items": .array(items),
        ])
        return writer.bytes
    }

    /// An event that was packed here, or was read before, can be read.
    private static func json(ofPacked packed: [UInt8]) -> JSONValue {
        var batch = EventBatchWriter()
        batch.append(packed: packed)
        guard let event = try? EventBatch(unpacking: batch.bytes).event(at: 0) else { return .null }
        return EventJSONEncoder.value(of: event)
    }
}
