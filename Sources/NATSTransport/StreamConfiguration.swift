/// What a stream is to be: the fields of JetStream's stream configuration that this project decides on.
package struct StreamConfiguration: Sendable, Equatable {
    package enum Storage: String, Sendable, Codable { case file, memory }
    package enum Retention: String, Sendable, Codable { case limits, interest, workqueue }
    /// Which messages go when a limit is reached: the oldest, or the one that was to be stored (its publisher gets an
    /// error).
    package enum Discard: String, Sendable, Codable { case old, new }

    /// Rewrites subjects before messages are stored (nats-server 2.10).
    package struct SubjectTransform: Sendable, Equatable, Codable {
        package var source: String
        package var destination: String

        package init(source: String, destination: String) {
            self.source = source
            self.destination = destination
        }

        enum CodingKeys: String, CodingKey {
            case source = "src"
            case destination = "dest"
        }
    }

    package var name: String
    package var subjects: [String]
    package var storage = Storage.file
    package var retention = Retention.limits
    package var discard = Discard.old
    /// Limits; `nil` is none.
    package var maxMessages: Int64?
    package var maxBytes: Int64?
    package var maxMessagesPerSubject: Int64?
    package var maxMessageSize: Int64?
    package var maxAge: Duration?
    package var replicas = 1
    /// How long `Nats-Msg-Id` is remembered; `nil` leaves it to the server.
    package var duplicateWindow: Duration?
    package var allowDirect = true
    package var allowRollup = false
    package var denyDelete = false
    package var denyPurge = false
    package var subjectTransform: SubjectTransform?

    package init(name: String, subjects: [String]) {
        self.name = name
        self.subjects = subjects
    }

    /// Says in words where another configuration, found on the server, differs; empty if it does not.
    package func differences(from found: StreamConfiguration) -> [String] {
        var words: [String] = []
        func word<T>(_ value: T?) -> String { value.map { "\($0)" } ?? "not set" }
        func compare<T: Equatable>(_ field: String, _ wanted: T?, _ found: T?) {
            if wanted != found { words.append("\(field) is \(word(found)), wanted \(word(wanted))") }
        }
        compare("subjects", subjects, found.subjects)
        compare("storage", storage, found.storage)
        compare("retention", retention, found.retention)
        compare("discard", discard, found.discard)
        compare("max_msgs", maxMessages, found.maxMessages)
        compare("max_bytes", maxBytes, found.maxBytes)
        compare("max_msgs_per_subject", maxMessagesPerSubject, found.maxMessagesPerSubject)
        compare("max_msg_size", maxMessageSize, found.maxMessageSize)
        compare("max_age", maxAge, found.maxAge)
        compare("num_replicas", replicas, found.replicas)
        if duplicateWindow != nil { compare("duplicate_window", duplicateWindow, found.duplicateWindow) }
        compare("allow_direct", allowDirect, found.allowDirect)
        compare("allow_rollup_hdrs", allowRollup, found.allowRollup)
        compare("deny_delete", denyDelete, found.denyDelete)
        compare("deny_purge", denyPurge, found.denyPurge)
        compare(
            "subject_transform", subjectTransform.map { "\($0.source) to \($0.destination)" },
            found.subjectTransform.map { "\($0.source) to \($0.destination)" })
        return words
    }
}

extension StreamConfiguration: Codable {
    enum CodingKeys: String, CodingKey {
        case name, subjects, storage, retention, discard, maxBytes, maxAge, duplicateWindow, allowDirect, denyDelete
        case denyPurge, subjectTransform
        case maxMessages = "maxMsgs"
        case maxMessagesPerSubject = "maxMsgsPerSubject"
        case maxMessageSize = "maxMsgSize"
        case replicas = "numReplicas"
        case allowRollup = "allowRollupHdrs"
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        // Servers leave out what is false or zero, and write no limit as -1 or 0.
        func limit(_ key: CodingKeys) throws -> Int64? {
            try values.decodeIfPresent(Int64.self, forKey: key).flatMap { $0 > 0 ? $0 : nil }
        }
        func flag(_ key: CodingKeys) throws -> Bool { try values.decodeIfPresent(Bool.self, forKey: key) ?? false }
        name = try values.decode(String.self, forKey: .name)
        subjects = try values.decodeIfPresent([String].self, forKey: .subjects) ?? []
        storage = try values.decode(Storage.self, forKey: .storage)
        retention = try values.decode(Retention.self, forKey: .retention)
        discard = try values.decode(Discard.self, forKey: .discard)
        maxMessages = try limit(.maxMessages)
        maxBytes = try limit(.maxBytes)
        maxMessagesPerSubject = try limit(.maxMessagesPerSubject)
        maxMessageSize = try limit(.maxMessageSize)
        maxAge = try limit(.maxAge).map { .nanoseconds($0) }
        replicas = try values.decodeIfPresent(Int.self, forKey: .replicas) ?? 1
        duplicateWindow = try limit(.duplicateWindow).map { .nanoseconds($0) }
        allowDirect = try flag(.allowDirect)
        allowRollup = try flag(.allowRollup)
        denyDelete = try flag(.denyDelete)
        denyPurge = try flag(.denyPurge)
        subjectTransform = try values.decodeIfPresent(SubjectTransform.self, forKey: .subjectTransform)
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(subjects, forKey: .subjects)
        try values.encode(storage, forKey: .storage)
        try values.encode(retention, forKey: .retention)
        try values.encode(discard, forKey: .discard)
        try values.encode(maxMessages ?? -1, forKey: .maxMessages)
        try values.encode(maxBytes ?? -1, forKey: .maxBytes)
        try values.encode(maxMessagesPerSubject ?? -1, forKey: .maxMessagesPerSubject)
        try values.encode(maxMessageSize ?? -1, forKey: .maxMessageSize)
        try values.encode(maxAge?.nanoseconds ?? 0, forKey: .maxAge)
        try values.encode(replicas, forKey: .replicas)
        try values.encodeIfPresent(duplicateWindow?.nanoseconds, forKey: .duplicateWindow)
        try values.encode(allowDirect, forKey: .allowDirect)
        try values.encode(allowRollup, forKey: .allowRollup)
        try values.encode(denyDelete, forKey: .denyDelete)
        try values.encode(denyPurge, forKey: .denyPurge)
        // nats-server before 2.10 ignores the field; callers compare the echoed configuration.
        try values.encodeIfPresent(subjectTransform, forKey: .subjectTransform)
    }
}
