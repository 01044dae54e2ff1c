package import ATOF
internal import CSkeinProto

extension OTLPJSON {
    /// - Parameters:
    ///   - records: packed LogRecord messages.
    ///   - resource: a packed Resource.
    ///   - scope: a packed InstrumentationScope.
    /// - Returns: an ExportLogsServiceRequest; nil when a message is not what it should be.
    package static func exportLogsServiceRequest(
        records: [[UInt8]], resource: [UInt8], scope: [UInt8]
    ) -> JSONValue? {
        request(("resourceLogs", "scopeLogs", "logRecords"), items: records, resource: resource, scope: scope) {
            decode(
                $0, skein__v1__otlp__log_record__unpack, skein__v1__otlp__log_record__free_unpacked, OTLPJSON.record)
        }
    }

    private static func record(_ record: Skein__V1__Otlp__LogRecord) -> JSONValue {
        object([
            ("timeUnixNano", digits(record.time_unix_nano)),
            ("observedTimeUnixNano", digits(record.observed_time_unix_nano)),
            ("severityNumber", number(Int64(record.severity_number))), ("severityText", text(record.severity_text)),
            ("body", record.body.flatMap { anyValue($0.pointee) }),
            ("attributes", attributes(record.attributes, record.n_attributes)),
            ("droppedAttributesCount", number(Int64(record.dropped_attributes_count))),
            ("flags", number(Int64(record.flags))), ("traceId", hexadecimal(record.trace_id)),
            ("spanId", hexadecimal(record.span_id)), ("eventName", text(record.event_name)),
        ])
    }
}
