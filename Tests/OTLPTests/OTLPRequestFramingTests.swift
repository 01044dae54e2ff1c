import CProtobufC
import CSkeinProto
import OTLP
import Testing

@Suite("OTLP request framing")
struct OTLPRequestFramingTests {
    @Test(
        "writes what protobuf reads back, in as many bytes as protobuf would take",
        arguments: [[], [0], [1, 0, 5], [130, 20_000, 300, 2_100_000]], [0, 300])
    func readBack(sizes: [Int], resourceSize: Int) throws {
        let resource = Self.attribute(keySize: resourceSize)
        let scope: [UInt8] = [0x0A, 5] + Array("skein".utf8)
        let items = sizes.map { ExportItem(bytes: Self.span(nameSize: $0), position: 1) }
        let body = OTLPRequestFraming(resource: resource, scope: scope).request(for: items)

        let request = try #require(skein__v1__otlp__export_trace_service_request__unpack(nil, body.count, body))
        defer { skein__v1__otlp__export_trace_service_request__free_unpacked(request, nil) }
        #expect(request.pointee.n_resource_spans == 1)
        let resourceSpans = try #require(request.pointee.resource_spans[0]).pointee
        let attribute = resourceSpans.resource.pointee.attributes?[0]?.pointee
        #expect(attribute?.key.len ?? 0 == resourceSize)
        #expect(resourceSpans.n_scope_spans == 1)
        let scopeSpans = try #require(resourceSpans.scope_spans[0]).pointee
        #expect(scopeSpans.scope.pointee.name.len == 5)
        #expect(scopeSpans.n_spans == sizes.count)
        for (index, size) in sizes.enumerated() {
            #expect(scopeSpans.spans[index]?.pointee.name.len == size)
        }
        #expect(skein__v1__otlp__export_trace_service_request__get_packed_size(request) == body.count)
    }

    @Test("puts items that name a resource of their own below it, in their order")
    func resources() throws {
        let (own, other) = (Self.attribute(keySize: 3), Self.attribute(keySize: 4))
        let items = [nil, other, other, nil].map { ExportItem(bytes: [], position: 1, resource: $0) }
        let body = OTLPRequestFraming(resource: own, scope: []).request(for: items)
        let request = try #require(skein__v1__otlp__export_trace_service_request__unpack(nil, body.count, body))
        defer { skein__v1__otlp__export_trace_service_request__free_unpacked(request, nil) }
        let groups = (0..<request.pointee.n_resource_spans).compactMap { request.pointee.resource_spans[$0]?.pointee }
        #expect(groups.map { $0.resource.pointee.attributes?[0]?.pointee.key.len } == [3, 4, 3])
        #expect(groups.map { $0.scope_spans[0]?.pointee.n_spans } == [1, 2, 1])
    }

    /// A packed Span with a name only; without one it is empty.
    private static func span(nameSize: Int) -> [UInt8] {
        nameSize == 0 ? [] : [5 << 3 | 2] + varint(nameSize) + [UInt8](repeating: 0x61, count: nameSize)
    }

    /// A packed Resource with one attribute that has a key only; without one it is empty.
    private static func attribute(keySize: Int) -> [UInt8] {
        if keySize == 0 { return [] }
        let key = [0x0A] + varint(keySize) + [UInt8](repeating: 0x62, count: keySize)
        return [0x0A] + varint(key.count) + key
    }

    private static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value % 128) | 0x80] + varint(value / 128)
    }
}
