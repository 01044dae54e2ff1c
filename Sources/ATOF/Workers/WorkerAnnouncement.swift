internal import CProtobufC
internal import CSkeinProto

/// What an instance of a worker says of itself, again and again (`proto/skein/v1/worker.proto`).
package struct WorkerAnnouncement: Sendable, Hashable {
    package struct Offer: Sendable, Hashable {
        package let surface: WorkerSurface
        /// Advice; the configuration decides.
        package let priority: Int32
    }

    package let name: String
    package let instance: String
    package let configDigest: String
    /// At least one, in the order of the surfaces' numbers, each once.
    package let offers: [Offer]
    package let heartbeat: Duration
    /// Milliseconds since 1970; 0 when the instance does not say.
    package let started: UInt64
    package let isLeaving: Bool
    package let encoding: WorkerEncoding

    package static let protocolVersion: UInt32 = 1
    /// The most bytes of an announcement.
    package static let maximumBytes = 16 << 10
    private static let heartbeats = 500...60_000

    /// Reads either form.
    ///
    /// - Throws: `WorkerMessageError` that names the member and what is allowed.
    package init(_ bytes: [UInt8], contentType: String?) throws(WorkerMessageError) {
        guard bytes.count <= WorkerAnnouncement.maximumBytes else {
            throw WorkerMessageError("", "has \(bytes.count) bytes, the most is \(WorkerAnnouncement.maximumBytes)")
        }
        let type = (contentType ?? "").prefix { $0 != ";" && $0 != " " }.lowercased()
        guard let encoding = WorkerEncoding(rawValue: type) else {
            throw WorkerMessageError(
                "Content-Type", "must be \(WorkerEncoding.protobuf.rawValue) or \(WorkerEncoding.json.rawValue)")
        }
        let fields =
            switch encoding {
            case .protobuf: try Fields(packed: bytes)
            case .json: try Fields(json: bytes)
            }
        self.encoding = encoding
        guard fields.version == WorkerAnnouncement.protocolVersion else {
            throw WorkerMessageError(
                "protocol", "is \(fields.version), this collector speaks \(WorkerAnnouncement.protocolVersion)")
        }
        name = try WorkerAnnouncement.token(fields.name, "name", maximum: 64, "a-z, 0-9, _ and -") {
            WorkerAnnouncement.isLower($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
        }
        instance = try WorkerAnnouncement.token(fields.instance, "instance", maximum: 128, "A-Z, a-z, 0-9, _ . : and -")
        { WorkerAnnouncement.isDigestByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
        configDigest = try WorkerAnnouncement.token(
            fields.configDigest, "config_digest", maximum: 64, "A-Z, a-z, 0-9, _ and -",
            allowed: WorkerAnnouncement.isDigestByte)
        guard WorkerAnnouncement.heartbeats.contains(Int(clamping: fields.heartbeatMillis)) else {
            throw WorkerMessageError(
                "heartbeat_millis",
                "is \(fields.heartbeatMillis), must be \(WorkerAnnouncement.heartbeats.lowerBound) to \(WorkerAnnouncement.heartbeats.upperBound)"
            )
        }
        heartbeat = .milliseconds(Int64(clamping: fields.heartbeatMillis))
        started = fields.started
        isLeaving = fields.isLeaving
        offers = try WorkerAnnouncement.checked(fields.offers)
    }

    private static func checked(_ offers: [Offer]) throws(WorkerMessageError) -> [Offer] {
        if offers.isEmpty { throw WorkerMessageError("surfaces", "is empty; name at least one surface") }
        let sorted = offers.sorted { $0.surface.number < $1.surface.number }
        for (one, next) in zip(sorted, sorted.dropFirst()) where one.surface == next.surface {
            throw WorkerMessageError("surfaces", "names \(one.surface.rawValue) twice")
        }
        return sorted
    }

    /// What becomes a part of subjects and log lines is checked byte by byte.
    private static func token(
        _ text: String, _ field: String, maximum: Int, _ description: String, allowed: (UInt8) -> Bool
    ) throws(WorkerMessageError) -> String {
        guard !text.isEmpty, text.utf8.count <= maximum, text.utf8.allSatisfy(allowed) else {
            throw WorkerMessageError(field, "must be 1 to \(maximum) characters of \(description)")
        }
        return text
    }

    private static func isLower(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    /// Whether a text may be a worker's `config_digest`.
    package static func isDigest(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64 && text.utf8.allSatisfy(isDigestByte)
    }

    private static func isDigestByte(_ byte: UInt8) -> Bool {
        isLower(byte) || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "-")
    }

    /// As they came, before they are checked.
    private struct Fields {
        var version: UInt32 = 0
        var name = ""
        var instance = ""
        var configDigest = ""
        var offers: [Offer] = []
        var heartbeatMillis: UInt64 = 0
        var started: UInt64 = 0
        var isLeaving = false

        init(packed bytes: [UInt8]) throws(WorkerMessageError) {
            guard let message = skein__v1__worker_announcement__unpack(nil, bytes.count, bytes) else {
                throw WorkerMessageError("", "is not a packed skein.v1.WorkerAnnouncement")
            }
            defer { skein__v1__worker_announcement__free_unpacked(message, nil) }
            let fields = message.pointee
            version = fields.protocol
            name = BatchStorage.text(fields.name)
            instance = BatchStorage.text(fields.instance)
            configDigest = BatchStorage.text(fields.config_digest)
            heartbeatMillis = UInt64(fields.heartbeat_millis)
            started = fields.started_unix_millis
            isLeaving = fields.leaving != 0
            for index in 0..<fields.n_surfaces {
                guard let offer = fields.surfaces[index]?.pointee else { continue }
                guard let surface = WorkerSurface(number: offer.surface.rawValue) else {
                    throw WorkerMessageError(
                        "surfaces", "has the number \(offer.surface.rawValue), which is no surface")
                }
                offers.append(Offer(surface: surface, priority: offer.priority))
            }
        }

        init(json bytes: [UInt8]) throws(WorkerMessageError) {
            guard let object = (try? JSONParser.parse(bytes))?.objectValue else {
                throw WorkerMessageError("", "is not a JSON object")
            }
            func text(_ key: String) throws(WorkerMessageError) -> String {
                guard let text = object[key]?.stringValue else { throw WorkerMessageError(key, "must be a string") }
                return text
            }
            func number(_ key: String, default fallback: UInt64? = nil) throws(WorkerMessageError) -> UInt64 {
                if let fallback, object[key]?.nonNull == nil { return fallback }
                guard let number = object[key]?.uint64Value else {
                    throw WorkerMessageError(key, "must be an integer of at least 0")
                }
                return number
            }
            version = UInt32(clamping: try number("protocol"))
            name = try text("name")
            instance = try text("instance")
            configDigest = try text("config_digest")
            heartbeatMillis = try number("heartbeat_millis")
            started = try number("started_unix_millis", default: 0)
            isLeaving = object["leaving"]?.boolValue ?? false
            guard let surfaces = object["surfaces"]?.arrayValue else {
                throw WorkerMessageError("surfaces", "must be an array of objects with surface and priority")
            }
            for surface in surfaces {
                guard let word = surface["surface"]?.stringValue, let known = WorkerSurface(rawValue: word) else {
                    throw WorkerMessageError(
                        "surfaces",
                        "must each have a surface of \(WorkerSurface.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                let priority = surface["priority"]?.nonNull ?? 0
                guard let priority = priority.int64Value.flatMap(Int32.init(exactly:)) else {
                    throw WorkerMessageError("surfaces", "must each have a priority that is a 32-bit integer")
                }
                offers.append(Offer(surface: known, priority: priority))
            }
        }
    }
}
