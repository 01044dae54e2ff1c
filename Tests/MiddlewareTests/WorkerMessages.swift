import ATOF
import Middleware

/// Messages of workers as their tests write them.
enum WorkerMessages {
    static func announcement(
        name: String = "redactor", instance: String = "one", digest: String = "d1", surfaces: [WorkerSurface] = [.mark],
        started: Int64 = 1, leaving: Bool = false, encoding: WorkerEncoding = .json
    ) throws -> WorkerAnnouncement {
        switch encoding {
        case .json:
            let object: JSONValue = [
                "protocol": 1, "name": .string(name), "instance": .string(instance), "config_digest": .string(digest),
                "surfaces": .array(surfaces.map { ["surface": .string($0.rawValue), "priority": 5] }),
                "heartbeat_millis": 1000, "started_unix_millis": .int(started), "leaving": .bool(leaving),
            ]
            return try WorkerAnnouncement(Array(object.compactText.utf8), contentType: "application/json")
        case .protobuf:
            var bytes = varint(1, 1) + field(2, name.utf8) + field(3, instance.utf8) + field(4, digest.utf8)
            for surface in surfaces { bytes += field(5, varint(1, number(surface)) + varint(2, 10)) }
            bytes += varint(6, 1000) + varint(7, UInt64(started)) + varint(8, leaving ? 1 : 0)
            return try WorkerAnnouncement(bytes, contentType: "application/x-protobuf")
        }
    }

    static func number(_ surface: WorkerSurface) -> UInt64 {
        switch surface {
        case .metadataInjector: 2
        case .toolRequest: 10
        case .toolResponse: 11
        case .toolConditional: 12
        case .toolIntercept: 13
        case .llmRequest: 20
        case .llmResponse: 21
        case .llmConditional: 22
        case .llmIntercept: 23
        case .mark: 30
        case .scopeStart: 31
        case .scopeEnd: 32
        }
    }

    /// A protobuf field of bytes, or a message.
    static func field(_ number: UInt8, _ content: some Collection<UInt8>) -> [UInt8] {
        [number << 3 | 2] + encoded(UInt64(content.count)) + Array(content)
    }

    static func varint(_ number: UInt8, _ value: UInt64) -> [UInt8] { [number << 3] + encoded(value) }

    private static func encoded(_ value: UInt64) -> [UInt8] {
        var value = value
        var bytes: [UInt8] = []
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        return bytes + [UInt8(value)]
    }

    static func event(_ json: String) throws -> Event {
        var writer = EventBatchWriter()
        writer.append(packed: try EventJSONDecoder.decode(Array(json.utf8)).packed())
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }
}
