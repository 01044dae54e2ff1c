import ATOF
import CProtobufC
import CSkeinProto
import OTLP
import Projections
import Testing

@Suite("OTLP encoder")
struct EncoderTests {
    private let attributes: [Attribute] = [
        .init("empty", .string("")), .init("text", .string("ünï\0x")),
        .init("long", .string(String(repeating: "y", count: 70_000))),
        .init("no", .bool(false)), .init("yes", .bool(true)), .init("zero", .int(0)), .init("negative", .int(-1)),
        .init("most", .int(.max)), .init("double", .double(-2.5)), .init("strings", .strings(["a", ""])),
        .init("none", .strings([])), .init("bools", .bools([true, false])), .init("ints", .ints([-1, 300])),
        .init("doubles", .doubles([0, 1.5])),
    ]

    private func span(parent: UInt64?, status: ProjectedSpan.Status, dropped: UInt32 = 0) -> ProjectedSpan {
        ProjectedSpan(
            context: SpanContext(
                traceID: EventUUID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10),
                spanID: 0xFFEE_DDCC_BBAA_9988,
                parentSpanID: parent, isRemote: parent != nil),
            name: "a span", kind: .client, startTime: 1_767_229_201_023_000_000, endTime: .max, attributes: attributes,
            events: [.init(name: "", time: 0, attributes: []), .init(name: "e", time: 7, attributes: attributes)],
            droppedEvents: dropped, status: status)
    }

    private func withDecoded(_ span: ProjectedSpan, _ body: (Skein__V1__Otlp__Span) throws -> Void) throws {
        let bytes = SpanEncoder.encode(span)
        let decoded = try #require(skein__v1__otlp__span__unpack(nil, bytes.count, bytes))
        defer { skein__v1__otlp__span__free_unpacked(decoded, nil) }
        try body(decoded.pointee)
        // protobuf-c packs fields in ascending order and leaves defaults out, as we do: the bytes are the same.
        var packed = [UInt8](repeating: 0, count: skein__v1__otlp__span__get_packed_size(decoded))
        #expect(skein__v1__otlp__span__pack(decoded, &packed) == bytes.count)
        #expect(packed == bytes)
    }

    private func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
        Array(UnsafeBufferPointer(start: data.data, count: data.len))
    }

    @Test(
        "writes what protobuf-c reads, byte for byte as it would write it",
        arguments: [
            (nil, .unset, 0), (0x0102_0304_0506_0708, .ok, 0), (1, .error(message: ""), 3),
            (1, .error(message: "bad"), 300),
        ] as [(UInt64?, ProjectedSpan.Status, UInt32)])
    func roundTrip(_ parent: UInt64?, _ status: ProjectedSpan.Status, _ dropped: UInt32) throws {
        try withDecoded(span(parent: parent, status: status, dropped: dropped)) { decoded in
            #expect(bytes(decoded.trace_id) == Array(1...16))
            #expect(bytes(decoded.span_id) == [0xFF, 0xEE, 0xDD, 0xCC, 0xBB, 0xAA, 0x99, 0x88])
            #expect(decoded.parent_span_id.len == (parent == nil ? 0 : 8))
            #expect(bytes(decoded.name) == Array("a span".utf8) && decoded.kind == 3)
            #expect(decoded.start_time_unix_nano == 1_767_229_201_023_000_000 && decoded.end_time_unix_nano == .max)
            #expect(decoded.flags == (parent == nil ? 257 : 769) && decoded.dropped_events_count == dropped)
            #expect(decoded.n_attributes == attributes.count && decoded.n_events == 2)
            switch status {
            case .unset: #expect(decoded.status == nil)
            case .ok: #expect(decoded.status?.pointee.code == 1)
            case .error(let message):
                #expect(decoded.status?.pointee.code == 2)
                #expect(decoded.status.map { bytes($0.pointee.message) } == Array(message.utf8))
            }
        }
    }

    @Test("shows the packed bytes as OTLP/JSON")
    func json() throws {
        let short = ProjectedSpan(
            context: SpanContext(traceID: EventUUID(high: 0xA, low: 0xB), spanID: 0xC, parentSpanID: nil), name: "s",
            kind: .internal, startTime: 1, endTime: 2,
            attributes: [
                .init("i", .int(-3)), .init("d", .double(1)), .init("b", .bool(false)), .init("e", .string("")),
                .init("a", .ints([1])), .init("n", .strings([])),
            ], events: [.init(name: "m", time: 1, attributes: [])], status: .error(message: "x"))
        let resource = ResourceConfiguration(serviceName: "svc", resourceAttributes: ["service.name": "other"])
        let json = try #require(
            OTLPJSON.exportTraceServiceRequest(
                spans: [SpanEncoder.encode(short)], resource: ResourceEncoder.resource(resource, version: "9"),
                scope: ResourceEncoder.scope(resource)))
        let expected = #"""
            {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"other"}},
            {"key":"telemetry.sdk.language","value":{"stringValue":"swift"}},
            {"key":"telemetry.sdk.name","value":{"stringValue":"skein"}},
            {"key":"telemetry.sdk.version","value":{"stringValue":"9"}}]},
            "scopeSpans":[{"scope":{"name":"opentelemetry"},"spans":[{"attributes":[{"key":"i","value":{"intValue":"-3"}},
            {"key":"d","value":{"doubleValue":1.0}},{"key":"b","value":{"boolValue":false}},
            {"key":"e","value":{"stringValue":""}},{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"}]}}},
            {"key":"n","value":{"arrayValue":{}}}],"endTimeUnixNano":"2","events":[{"name":"m","timeUnixNano":"1"}],
            "flags":257,"kind":1,"name":"s","spanId":"000000000000000c","startTimeUnixNano":"1",
            "status":{"code":2,"message":"x"},"traceId":"000000000000000a000000000000000b"}]}]}]}
            """#
        #expect(json == (try JSONParser.parse(expected)))
        #expect(OTLPJSON.exportTraceServiceRequest(spans: [[0x0A]], resource: [], scope: []) == nil)
    }

    @Test("an empty resource and scope are empty messages")
    func emptyScope() {
        #expect(ResourceEncoder.scope(ResourceConfiguration(instrumentationScope: "")).isEmpty)
    }
}
