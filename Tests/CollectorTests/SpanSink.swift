import CProtobufC
import CSkeinProto
import HTTPTestServer
import Synchronization

/// An OTLP/HTTP backend that keeps every span, and notes when a span comes again with another content.
final class SpanSink: Sendable {
    struct Span: Sendable, Equatable {
        let name: String
        /// The whole span, packed.
        let bytes: [UInt8]
    }

    private struct State {
        var spans: [[UInt8]: Span] = [:]
        /// Every span as it came.
        var arrivals: [[UInt8]] = []
        var changed: Set<[UInt8]> = []
    }

    let server: HTTPTestServer
    private let state: Received

    /// - Parameter status: of the answer, by the names of a request's spans; what is not 200 is not kept.
    init(listens: Bool = true, status: @escaping @Sendable ([String]) -> Int = { _ in 200 }) {
        let state = Received()
        self.state = state
        server = HTTPTestServer(listens: listens) { request in
            let spans = SpanSink.spans(request.plainBody)
            let status = status(spans.map(\.1.name))
            if status == 200 { state.add(spans) }
            return .init(status)
        }
    }

    var url: String { "\(server.url)/v1/traces" }
    /// Different spans.
    var count: Int { state.value.withLock { $0.spans.count } }
    /// With repetitions.
    var arrivals: Int { received.count }
    /// As they came, packed.
    var received: [[UInt8]] { state.value.withLock { $0.arrivals } }
    var names: [String] { state.value.withLock { $0.spans.values.map(\.name).sorted() } }
    var spans: [Span] { state.value.withLock { Array($0.spans.values) } }
    /// Spans that came with two contents.
    var changed: Int { state.value.withLock { $0.changed.count } }

    private final class Received: Sendable {
        let value = Mutex(State())

        func add(_ spans: [([UInt8], Span)]) {
            value.withLock { state in
                for (id, span) in spans {
                    state.arrivals.append(span.bytes)
                    if let known = state.spans.updateValue(span, forKey: id), known != span { state.changed.insert(id) }
                }
            }
        }
    }

    /// The spans of a request, by trace and span id.
    private static func spans(_ body: [UInt8]) -> [([UInt8], Span)] {
        guard let request = skein__v1__otlp__export_trace_service_request__unpack(nil, body.count, body) else {
            return []
        }
        defer { skein__v1__otlp__export_trace_service_request__free_unpacked(request, nil) }
        var found: [([UInt8], Span)] = []
        for resource in pointers(request.pointee.resource_spans, request.pointee.n_resource_spans) {
            for scope in pointers(resource.pointee.scope_spans, resource.pointee.n_scope_spans) {
                for span in pointers(scope.pointee.spans, scope.pointee.n_spans) {
                    var packed = [UInt8](repeating: 0, count: skein__v1__otlp__span__get_packed_size(span))
                    skein__v1__otlp__span__pack(span, &packed)
                    found.append(
                        (
                            bytes(span.pointee.trace_id) + bytes(span.pointee.span_id),
                            Span(name: String(decoding: bytes(span.pointee.name), as: UTF8.self), bytes: packed)
                        ))
                }
            }
        }
        return found
    }

    private static func pointers<Element>(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>?, _ count: Int
    ) -> [UnsafeMutablePointer<Element>] {
        UnsafeBufferPointer(start: list, count: list == nil ? 0 : count).compactMap { $0 }
    }

    private static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
        Array(UnsafeBufferPointer(start: data.data, count: data.len))
    }
}
