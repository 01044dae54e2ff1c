import ATOF
import Testing

@Suite("Packed batches")
struct EventBatchTests {
    private static func fields() throws -> EventFields {
        let uuid = EventUUID(high: 1, low: 2)
        let time = try #require(EventTime(seconds: -5, nanoseconds: 999_999_999))
        var fields = EventFields(kind: .scopeEnd, uuid: uuid, timestamp: time, name: "näme\0")
        fields.parentUUID = EventUUID(high: 3, low: 4)
        fields.category = "llm"
        fields.attributes = ["remote", "", "streaming"]
        fields.dataSchema = Event.DataSchema(name: "s", version: "")
        fields.data = Array(#"{"a":"\u0000"}"#.utf8)
        fields.metadata = Array("[1]".utf8)
        fields.categoryProfile = Array("{}".utf8)
        fields.propagationRootUUID = EventUUID(high: 5, low: 6)
        fields.atofVersion = "0.2"
        fields.unknownFields = Array(#"{"x":1}"#.utf8)
        return fields
    }

    @Test("bring every field back")
    func roundTrip() throws {
        let fields = try EventBatchTests.fields()
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        writer.setProducer("p-1", sequence: 300)
        let batch = try EventBatch(unpacking: writer.bytes)
        #expect(batch.count == 1)
        #expect(batch.producer == "p-1")
        #expect(batch.sequence == 300)
        let event = try batch.event(at: 0)
        #expect(event.kind == .scopeEnd)
        #expect(!event.isMark)
        #expect(event.uuid == fields.uuid)
        #expect(event.parentUUID == fields.parentUUID)
        #expect(event.timestamp == fields.timestamp)
        #expect(event.name == fields.name)
        #expect(event.category == Event.Category("llm"))
        #expect(event.category?.known == .llm)
        #expect(event.attributes == fields.attributes)
        #expect(event.dataSchema == fields.dataSchema)
        #expect(event.data?.withBytes { Array($0) } == fields.data)
        #expect(event.metadata?.value == [1])
        #expect(event.categoryProfile?.value == [:])
        #expect(event.propagationRootUUID == fields.propagationRootUUID)
        #expect(event.rootUUID == nil)
        #expect(event.atofVersion == "0.2")
        #expect(event.unknownFields?.value == ["x": 1])
        #expect(event.packed.array == fields.packed())
        #expect(event.repaired() == nil)
    }

    @Test("tell an empty category from none")
    func categoryPresence() throws {
        var fields = EventFields(
            kind: .mark, uuid: EventUUID(high: 0, low: 0), timestamp: EventTime(epochMicroseconds: 0), name: "")
        #expect(try Wire.event(fields.packed()).category == nil)
        fields.category = ""
        let category = try Wire.event(fields.packed()).category
        #expect(category?.raw == "")
        #expect(category?.known == .unknown)
    }

    @Test(
        "keep words outside of the vocabulary",
        arguments: [("tool", Event.Category.Known.tool), ("planner", .unknown), ("LLM", .unknown)])
    func categories(raw: String, known: Event.Category.Known) throws {
        let event = try Wire.event(Wire.mark + Wire.text(7, raw))
        #expect(event.category?.raw == raw)
        #expect(event.category?.known == known)
    }

    @Test("take a stamped root in place of one that came with the event")
    func root() throws {
        let root = EventUUID(high: 7, low: 8)
        let packed = Wire.mark + Wire.bytes(16, [UInt8](repeating: 1, count: 16))
        var writer = EventBatchWriter()
        packed.withUnsafeBufferPointer { writer.append(packed: $0, root: root) }
        #expect(writer.count == 1)
        #expect(writer.bytes.count <= EventBatchWriter.size(ofPacked: packed.count))
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        #expect(event.rootUUID == root)
        #expect(event.name == "m")
    }

    @Test("hold no event when there are no bytes")
    func empty() throws {
        #expect(try EventBatch(unpacking: []).count == 0)
        #expect(try EventBatch(unpacking: Wire.text(2, "producer")).count == 0)
    }

    @Test(
        "are not made of other bytes",
        arguments: [
            Array("hello world".utf8), Array(#"{"kind":"mark"}"#.utf8), [0xFF], [0x0A], [0x0A, 0x05, 0x00], [0x00],
            // Length prefixes of 2^31, 2^32 - 1 and more bytes than a prefix may have.
            [0x0A, 0x80, 0x80, 0x80, 0x80, 0x08], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
            [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], Wire.number(1, 5), Wire.number(99, 1),
            Wire.mark,
            // Groups, open and closed, one in another.
            [0x0B, 0x0C], [UInt8](repeating: 0x0B, count: 100_000), Wire.bytes(3, [1]),
        ])
    func undecodable(bytes: [UInt8]) {
        let error = #expect(throws: EventError.self) { try EventBatch(unpacking: bytes) }
        #expect(error?.reason == .undecodable)
    }

    @Test("have a bounded number of events")
    func tooMany() throws {
        let frame = Wire.bytes(1, [])
        let most = EventBatch.maximumCount
        let full = try EventBatch(unpacking: Array(repeatElement(frame, count: most).joined()))
        #expect(full.count == most)
        #expect(throws: EventError(.missingField, field: "kind", "is missing")) { try full.event(at: most - 1) }
        let error = #expect(throws: EventError.self) {
            try EventBatch(unpacking: Array(repeatElement(frame, count: most + 1).joined()))
        }
        #expect(error?.reason == .undecodable)
    }

    @Test("have a bounded number of fields, wherever they are", arguments: [false, true])
    func tooManyFields(inEvent: Bool) throws {
        // A number in field 15, as tag and as value: two bytes for each field.
        let fields = [UInt8](repeating: 15 << 3, count: 2 << 20)
        let mark = Wire.bytes(1, Wire.mark)
        // The events and the mark's own are fields too.
        let most = mark + (inEvent ? Wire.bytes(1, Array(fields.dropLast(12))) : Array(fields.dropLast(10)))
        #expect(try EventBatch(unpacking: most).event(at: 0).name == "m")
        let error = #expect(throws: EventError.self) {
            try EventBatch(unpacking: mark + (inEvent ? Wire.bytes(1, fields) : fields))
        }
        #expect(error == EventError(.undecodable, "the batch has more than 1048576 protobuf fields"))
    }

    @Test(
        "say which field of an event is wrong",
        arguments: [
            ([], .missingField, "kind"), (Wire.number(1, 3), .invalidField, "kind"),
            (Wire.number(1, 1), .missingField, "scope_category"),
            (Wire.number(1, 1) + Wire.number(2, 9), .invalidField, "scope_category"),
            (Wire.number(1, 2), .missingField, "uuid"), (Wire.mark + Wire.bytes(3, []), .missingField, "uuid"),
            (Wire.mark + Wire.bytes(3, [1]), .invalidField, "uuid"),
            (Wire.mark + Wire.bytes(4, [1]), .invalidField, "parent_uuid"),
            (Wire.number(1, 2) + Wire.bytes(3, Wire.uuid), .missingField, "timestamp"),
            (Wire.mark + Wire.bytes(5, Wire.number(2, 1_000_000_000)), .invalidField, "timestamp"),
            (Wire.mark + Wire.bytes(5, Wire.number(1, .max)), .invalidField, "timestamp"),
            (Wire.mark + Wire.number(1, 1) + Wire.number(2, 1), .missingField, "category"),
            (Wire.mark + Wire.bytes(7, [0xFF]), .invalidField, "category"),
            (Wire.mark + Wire.bytes(6, [0xC3]), .invalidField, "name"),
            (Wire.mark + Wire.bytes(8, [0x80]), .invalidField, "attributes"),
            (Wire.mark + Wire.bytes(14, [0x80]), .invalidField, "atof_version"),
            (Wire.mark + Wire.bytes(9, Wire.bytes(2, [0xFE])), .invalidField, "data_schema"),
            (Wire.bytes(1, [1]), .undecodable, ""), (Wire.mark + Wire.bytes(5, [0xFF]), .undecodable, ""),
            ([0x32, 0x7F], .undecodable, ""),
            (Wire.mark + Wire.number(10, 1), .undecodable, ""),
        ] as [([UInt8], EventError.Reason, String)])
    func damaged(packed: [UInt8], reason: EventError.Reason, field: String) throws {
        let batch = try EventBatch(unpacking: Wire.batch([Wire.mark, packed, Wire.mark]))
        let error = #expect(throws: EventError.self) { try batch.event(at: 1) }
        #expect(error?.reason == reason)
        #expect(error?.field == field)
        #expect(batch.packedEvent(at: 1).array == packed)
        #expect(try batch.event(at: 0).name == "m")
        #expect(try batch.event(at: 2).name == "m")
    }

    @Test("count the last of a repeated field, and collect attributes")
    func lastWins() throws {
        let twice =
            Wire.mark + Wire.text(6, "second") + Wire.text(7, "tool") + Wire.text(7, "llm") + Wire.text(8, "a")
            + Wire.text(8, "b")
            + Wire.text(10, "1") + Wire.text(10, "") + Wire.text(11, "") + Wire.text(11, "2") + Wire.number(1, 1)
            + Wire.number(2, 2)
        let event = try Wire.event(twice)
        #expect(event.kind == .scopeEnd)
        #expect(event.name == "second")
        #expect(event.category?.raw == "llm")
        #expect(event.attributes == ["a", "b"])
        #expect(event.data == nil)
        #expect(event.metadata?.value == 2)
    }

    @Test("merge the parts of a nested message")
    func merged() throws {
        let schema = Wire.bytes(9, Wire.text(1, "name")) + Wire.bytes(9, Wire.text(2, "version"))
        #expect(try Wire.event(Wire.mark + schema).dataSchema == Event.DataSchema(name: "name", version: "version"))
        let time = Wire.bytes(5, Wire.number(1, 4)) + Wire.bytes(5, Wire.number(1, 6) + Wire.number(2, 7))
        #expect(try Wire.event(Wire.mark + time).timestamp == EventTime(seconds: 3, nanoseconds: 7))
        // protobuf-c does not merge numbers: of a time in two parts, which no encoder writes, only the second counts.
        let parts = Wire.bytes(5, Wire.number(1, 4)) + Wire.bytes(5, Wire.number(2, 7))
        #expect(try Wire.event(Wire.mark + parts).timestamp == EventTime(seconds: 0, nanoseconds: 7))
    }

    @Test("survive a lot of attributes, unknown fields and nested messages")
    func bombs() throws {
        let attributes = Array(repeatElement(Wire.bytes(8, []), count: 200_000).joined())
        #expect(try Wire.event(Wire.mark + attributes).attributes.count == 200_000)
        let unknown = Array(repeatElement(Wire.number(99, 1) + Wire.bytes(98, [1]), count: 100_000).joined())
        #expect(try Wire.event(Wire.mark + unknown).name == "m")
        let times = Array(repeatElement(Wire.bytes(5, Wire.number(1, 2)), count: 100_000).joined())
        #expect(try Wire.event(Wire.mark + times).timestamp == EventTime(seconds: 1, nanoseconds: 0))
        #expect(try EventBatch(unpacking: Wire.batch([Wire.mark]) + unknown).count == 1)
    }

    @Test("take payloads of JSON null as absent", arguments: ["", "null", " null\n"])
    func nullPayload(text: String) throws {
        #expect(try Wire.event(Wire.mark + Wire.text(10, text)).data == nil)
    }

    @Test("are read as version 0.1 when the producer wrote none")
    func version() throws {
        #expect(try Wire.event(Wire.mark).atofVersion == "0.1")
    }

    @Test(
        "get payloads that everybody can read",
        arguments: [
            (10, "nonsense", #""nonsense""#), (10, "[1e400]", #"["1e400"]"#), (11, #"{"a":"#, #""{\"a\":""#),
            (12, "[1]", #"{"value":[1]}"#), (12, "oops", #"{"value":"oops"}"#),
            (12, #" {"a":18446744073709551616}"#, #"{"a":1.8446744073709552e+19}"#),
            (15, #""x""#, #"{"value":"x"}"#), (15, "{", #"{"value":"{"}"#),
        ] as [(UInt64, String, String)])
    func repaired(field: UInt64, text: String, expected: String) throws {
        let event = try Wire.event(Wire.mark + Wire.text(field, text))
        let repaired = try Wire.event(try #require(event.repaired()))
        let payloads: [UInt64: RawJSON?] = [
            10: repaired.data, 11: repaired.metadata, 12: repaired.categoryProfile, 15: repaired.unknownFields,
        ]
        let payload = try #require(payloads[field] ?? nil)
        #expect(payload.withBytes { String(decoding: $0, as: UTF8.self) } == expected)
        #expect(repaired.name == "m")
        #expect(repaired.repaired() == nil)
    }

    @Test("outlive the batch value that they came in")
    func lifetime() throws {
        var events: [Event] = []
        for number in 0..<100 { events.append(try Wire.event(Wire.mark + Wire.text(6, "event \(number)"))) }
        let payloads = events.map(\.packed)
        let names = events.map(\.name)
        events = []
        #expect(names.last == "event 99")
        #expect(payloads.allSatisfy { $0.array.starts(with: Wire.mark) })
    }
}
