internal import CProtobufC
internal import CSkeinProto

/// One ATOF 0.1 event, as a view of its packed form.
///
/// The envelope was checked when the event was unpacked; texts and payloads are converted when somebody asks for them. A copy of an
/// event shares the memory of the whole batch that it came in: whoever keeps an event keeps `packed` bytes instead and unpacks again.
package struct Event: Sendable {
    /// What happened: a scope began or ended, or something was noted.
    package enum Kind: Sendable, Hashable {
        case scopeStart
        case scopeEnd
        case mark
    }

    /// The schema that the producer declares for `data`.
    package struct DataSchema: Sendable, Hashable {
        package let name: String
        package let version: String

        package init(name: String, version: String) {
            self.name = name
            self.version = version
        }
    }

    package let kind: Kind
    /// The scope's identity, the same on its start and end; a mark's own.
    package let uuid: EventUUID
    package let parentUUID: EventUUID?
    package let timestamp: EventTime
    /// Absent only on an uncategorised mark.
    package let category: Category?

    let storage: BatchStorage
    let index: Int
    // Safe to send: points into `storage`, where nothing changes.
    nonisolated(unsafe) let fields: UnsafePointer<Skein__V1__Event>

    package var isMark: Bool { kind == .mark }

    package var name: String { BatchStorage.text(fields.pointee.name) }

    /// Handle attributes of scopes, in the producer's order; empty on marks.
    package var attributes: [String] {
        guard let list = fields.pointee.attributes else { return [] }
        return (0..<fields.pointee.n_attributes).map { BatchStorage.text(list[$0]) }
    }

    package var dataSchema: DataSchema? {
        guard let schema = fields.pointee.data_schema?.pointee else { return nil }
        return DataSchema(name: BatchStorage.text(schema.name), version: BatchStorage.text(schema.version))
    }

    /// The root that the producer propagated: a hint.
    package var propagationRootUUID: EventUUID? { BatchStorage.uuid(fields.pointee.propagation_root_uuid) }

    /// The run's root as the `process` stage resolved it.
    package var rootUUID: EventUUID? { BatchStorage.uuid(fields.pointee.root_uuid) }

    /// What the producer wrote; the version that Skein speaks when it wrote nothing.
    package var atofVersion: String {
        fields.pointee.atof_version.len == 0 ? "0.1" : BatchStorage.text(fields.pointee.atof_version)
    }

    /// Payload of the event; nil when absent or null.
    package var data: RawJSON? { storage.json(fields.pointee.data) }

    package var metadata: RawJSON? { storage.json(fields.pointee.metadata) }

    package var categoryProfile: RawJSON? { storage.json(fields.pointee.category_profile) }

    /// Top-level members that ATOF 0.1 does not define, as one object.
    package var unknownFields: RawJSON? { storage.json(fields.pointee.unknown_fields) }

    /// The event as it came: one packed `skein.v1.Event`.
    package var packed: BorrowedBytes { storage.packedEvent(at: index) }
}

extension Event {
    /// What a scope or mark is about (`atif-trajectories.md` 1.3). The vocabulary is open: `raw` keeps any other word.
    package struct Category: Sendable, Hashable {
        /// The vocabulary of ATOF 0.1.
        package enum Known: String, Sendable, CaseIterable {
            case agent, function, llm, tool, retriever, embedder, reranker, guardrail, evaluator, custom, unknown
        }

        /// The word as the producer wrote it.
        package let raw: String
        /// `unknown` for every word outside the vocabulary.
        package let known: Known

        package init(_ raw: String) {
            self.raw = raw
            self.known = Known(rawValue: raw) ?? .unknown
        }
    }
}

/// A payload as JSON text, parsed on request.
package struct RawJSON: Sendable {
    /// In a batch's memory, so what is behind them can be read as well.
    let bytes: BorrowedBytes

    package var count: Int { bytes.count }

    /// Lends the text, without copying it.
    package func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        try bytes.withBytes(body)
    }

    /// The value; what simdjson refuses is read as `JSONPolicy` says, so this never fails.
    package var value: JSONValue { withRoot(\.value) }
}

/// Bytes inside of a batch's memory, which they keep alive.
package struct BorrowedBytes: Sendable {
    let storage: BatchStorage
    // Safe to send: the memory is immutable and lives as long as `storage`.
    nonisolated(unsafe) let buffer: UnsafeBufferPointer<UInt8>

    package var count: Int { buffer.count }

    /// Lends the bytes, without copying them.
    package func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(storage) { try body(buffer) }
    }

    /// A copy that does not keep the batch alive.
    package var array: [UInt8] { withBytes { Array($0) } }
}
