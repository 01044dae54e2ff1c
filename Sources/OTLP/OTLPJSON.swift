package import ATOF
internal import CProtobufC
internal import CSkeinProto

/// OTLP/JSON of what goes out as protobuf: hexadecimal identifiers, enumerations as numbers, 64-bit integers as
/// strings, defaults left out.
///
/// It is made by decoding the packed messages, so what `skein project` prints is what a backend gets.
package enum OTLPJSON {
    /// - Parameters:
    ///   - spans: packed Span messages.
    ///   - resource: a packed Resource.
    ///   - scope: a packed InstrumentationScope.
    /// - Returns: an ExportTraceServiceRequest; nil when a message is not what it should be.
    package static func exportTraceServiceRequest(spans: [[UInt8]], resource: [UInt8], scope: [UInt8]) -> JSONValue? {
        request(("resourceSpans", "scopeSpans", "spans"), items: spans, resource: resource, scope: scope) {
            decode($0, skein__v1__otlp__span__unpack, skein__v1__otlp__span__free_unpacked, OTLPJSON.span)
        }
    }

    /// A request of any signal: the signals differ in the names of what is around the items.
    static func request(
        _ names: (resources: String, scopes: String, items: String), items: [[UInt8]], resource: [UInt8],
        scope: [UInt8], _ convert: ([UInt8]) -> JSONValue?
    ) -> JSONValue? {
        guard
            let resource = decode(
                resource, skein__v1__otlp__resource__unpack, skein__v1__otlp__resource__free_unpacked, OTLPJSON.resource
            ),
            let scope = decode(
                scope, skein__v1__otlp__instrumentation_scope__unpack,
                skein__v1__otlp__instrumentation_scope__free_unpacked, OTLPJSON.scope)
        else { return nil }
        var decoded: [JSONValue] = []
        decoded.reserveCapacity(items.count)
        for item in items {
            guard let item = convert(item) else { return nil }
            decoded.append(item)
        }
        let scopeItems = object([("scope", scope), (names.items, .array(decoded))])
        return object([
            (names.resources, [object([("resource", resource), (names.scopes, [scopeItems])])])
        ])
    }

    typealias Unpack<Message> = (
        UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?
    ) -> UnsafeMutablePointer<Message>?
    typealias Free<Message> = (UnsafeMutablePointer<Message>?, UnsafeMutablePointer<ProtobufCAllocator>?) ->
        Void

    private static func decode<Message>(
        _ bytes: UnsafeBufferPointer<UInt8>, _ unpack: Unpack<Message>, _ free: Free<Message>,
        _ convert: (Message) -> JSONValue?
    ) -> JSONValue? {
        guard let message = unpack(nil, bytes.count, bytes.baseAddress) else { return nil }
        defer { free(message, nil) }
        return convert(message.pointee)
    }

    static func decode<Message>(
        _ bytes: [UInt8], _ unpack: Unpack<Message>, _ free: Free<Message>, _ convert: (Message) -> JSONValue?
    ) -> JSONValue? {
        bytes.withUnsafeBufferPointer { decode($0, unpack, free, convert) }
    }

    // MARK: Messages

    private static func resource(_ resource: Skein__V1__Otlp__Resource) -> JSONValue {
        object([("attributes", attributes(resource.attributes, resource.n_attributes))])
    }

    private static func scope(_ scope: Skein__V1__Otlp__InstrumentationScope) -> JSONValue {
        object([("name", text(scope.name)), ("version", text(scope.version))])
    }

    private static func span(_ span: Skein__V1__Otlp__Span) -> JSONValue {
        let events = UnsafeBufferPointer(start: span.events, count: span.n_events).compactMap(\.self).map {
            event($0.pointee)
        }
        return object([
            ("traceId", hexadecimal(span.trace_id)), ("spanId", hexadecimal(span.span_id)),
            ("traceState", text(span.trace_state)), ("parentSpanId", hexadecimal(span.parent_span_id)),
            ("flags", number(Int64(span.flags))), ("name", text(span.name)), ("kind", number(Int64(span.kind))),
            ("startTimeUnixNano", digits(span.start_time_unix_nano)),
            ("endTimeUnixNano", digits(span.end_time_unix_nano)),
            ("attributes", attributes(span.attributes, span.n_attributes)),
            ("droppedAttributesCount", number(Int64(span.dropped_attributes_count))),
            ("events", events.isEmpty ? nil : .some(.array(events))),
            ("droppedEventsCount", number(Int64(span.dropped_events_count))),
            ("status", span.status.map { status($0.pointee) }),
        ])
    }

    private static func event(_ event: Skein__V1__Otlp__SpanEvent) -> JSONValue {
        object([
            ("timeUnixNano", digits(event.time_unix_nano)), ("name", text(event.name)),
            ("attributes", attributes(event.attributes, event.n_attributes)),
            ("droppedAttributesCount", number(Int64(event.dropped_attributes_count))),
        ])
    }

    private static func status(_ status: Skein__V1__Otlp__SpanStatus) -> JSONValue {
        object([("message", text(status.message)), ("code", number(Int64(status.code)))])
    }

    static func attributes(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<Skein__V1__Otlp__KeyValue>?>?, _ count: Int
    ) -> JSONValue? {
        let attributes = UnsafeBufferPointer(start: list, count: count).compactMap(\.self).map {
            keyValue($0.pointee)
        }
        return attributes.isEmpty ? nil : .some(.array(attributes))
    }

    private static func keyValue(_ attribute: Skein__V1__Otlp__KeyValue) -> JSONValue {
        object([("key", text(attribute.key)), ("value", attribute.value.flatMap { anyValue($0.pointee) })])
    }

    /// Elements of arrays and members of kvlists are packed on their own (`otlp.proto`).
    static func anyValue(_ value: Skein__V1__Otlp__AnyValue) -> JSONValue? {
        switch value.value_case {
        case SKEIN__V1__OTLP__ANY_VALUE__VALUE_STRING_VALUE: return ["stringValue": .string(string(value.string_value))]
        case SKEIN__V1__OTLP__ANY_VALUE__VALUE_BOOL_VALUE: return ["boolValue": .bool(value.bool_value != 0)]
        case SKEIN__V1__OTLP__ANY_VALUE__VALUE_INT_VALUE: return ["intValue": .string(String(value.int_value))]
        case SKEIN__V1__OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE: return ["doubleValue": double(value.double_value)]
        case SKEIN__V1__OTLP__ANY_VALUE__VALUE_ARRAY_VALUE:
            guard let array = value.array_value?.pointee else { return nil }
            let elements = UnsafeBufferPointer(start: array.values, count: array.n_values).compactMap { element in
                decode(
                    UnsafeBufferPointer(start: element.data, count: element.len), skein__v1__otlp__any_value__unpack,
                    skein__v1__otlp__any_value__free_unpacked, anyValue)
            }
            return ["arrayValue": object([("values", elements.isEmpty ? nil : .some(.array(elements)))])]
        case SKEIN__V1__OTLP__ANY_VALUE__VALUE_KVLIST_VALUE:
            guard let list = value.kvlist_value?.pointee else { return nil }
            let members = UnsafeBufferPointer(start: list.values, count: list.n_values).compactMap { member in
                decode(
                    UnsafeBufferPointer(start: member.data, count: member.len), skein__v1__otlp__key_value__unpack,
                    skein__v1__otlp__key_value__free_unpacked, keyValue)
            }
            return ["kvlistValue": object([("values", members.isEmpty ? nil : .some(.array(members)))])]
        default: return nil
        }
    }

    // MARK: Values

    /// Of the members that are there.
    static func object(_ members: [(String, JSONValue?)]) -> JSONValue {
        .object(JSONObject(members.compactMap { key, value in value.map { (key, $0) } }))
    }

    private static func string(_ data: ProtobufCBinaryData) -> String {
        String(decoding: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self)
    }

    static func text(_ data: ProtobufCBinaryData) -> JSONValue? {
        data.len == 0 ? nil : .some(.string(string(data)))
    }

    static func hexadecimal(_ data: ProtobufCBinaryData) -> JSONValue? {
        if data.len == 0 { return nil }
        let digits = Array("0123456789abcdef".utf8)
        let text = UnsafeBufferPointer(start: data.data, count: data.len).flatMap {
            [digits[Int($0 >> 4)], digits[Int($0 & 15)]]
        }
        return .string(String(decoding: text, as: UTF8.self))
    }

    static func number(_ value: Int64) -> JSONValue? { value == 0 ? nil : .some(.int(value)) }

    static func digits(_ value: UInt64) -> JSONValue? { value == 0 ? nil : .some(.string(String(value))) }

    /// JSON has no numbers that are not finite: they are texts.
    static func double(_ value: Double) -> JSONValue {
        if value.isFinite { return .double(value) }
        return .string(value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity")
    }
}
