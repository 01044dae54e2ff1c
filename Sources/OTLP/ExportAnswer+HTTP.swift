internal import CProtobufC
internal import CSkeinProto
package import HTTPTransport

extension ExportAnswer {
    /// Characters of a backend's own words that are kept.
    package static let maxReasonCharacters = 256

    /// Judges an HTTP answer.
    ///
    /// | Status | Judged as | Because |
    /// |---|---|---|
    /// | 2xx | delivered | OTLP/HTTP "Full Success" and "Partial Success"; what was rejected is not sent again |
    /// | 408, 425, 429, all 5xx | unavailable | overload or failure on the way; the same request may succeed later |
    /// | 401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 421, 426, 431, 451 | endpoint refused | see below |
    /// | 3xx and what is no final status | endpoint refused | redirects are not followed, the URL is wrong |
    /// | 400, 413, 422 and every other 4xx | data refused | the content of the request is at fault |
    ///
    /// Statuses about credentials, route or encoding say nothing about the data. An expired token must not send a
    /// whole backlog to the dead letters, so those requests are repeated until somebody has repaired the endpoint.
    ///
    /// - Parameter unixTime: Seconds since 1970, for a `Retry-After` that is a date.
    package init(_ response: HTTPResponse, unixTime: Int) {
        switch response.status {
        case 200..<300:
            self = Self.success(response.body)
        case 408, 425, 429, 500..<600:
            let words = Self.words(of: response)
            self = .unavailable(
                reason: "status \(response.status)" + (words.isEmpty ? "" : ": \(words)"),
                retryAfter: response.retryAfter(unixTime: unixTime))
        case 401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 421, 426, 431, 451:
            self = .endpointRefused(
                ExportRefusal(status: response.status, reason: Self.words(of: response)),
                retryAfter: response.retryAfter(unixTime: unixTime))
        case 400..<500:
            self = .dataRefused(ExportRefusal(status: response.status, reason: Self.words(of: response)))
        default:
            self = .endpointRefused(
                ExportRefusal(status: response.status, reason: Self.words(of: response)), retryAfter: nil)
        }
    }

    private static func success(_ body: [UInt8]) -> ExportAnswer {
        guard let message = skein__v1__otlp__export_service_response__unpack(nil, body.count, body) else {
            return .deliveredUnreadable
        }
        defer { skein__v1__otlp__export_service_response__free_unpacked(message, nil) }
        guard let partial = message.pointee.partial_success else { return .delivered(rejected: 0, message: "") }
        return .delivered(
            rejected: Int(clamping: max(0, partial.pointee.rejected)), message: text(partial.pointee.error_message))
    }

    /// What the backend says about a failure: the message of a Status, or a short text.
    private static func words(of response: HTTPResponse) -> String {
        let type = response.header("content-type")?.lowercased() ?? ""
        if type.hasPrefix("text/plain") || type.hasPrefix("application/json") {
            // A character takes at most a few bytes; the bound keeps a large body from being decoded as a whole.
            return text(response.body.prefix(4 * maxReasonCharacters))
        }
        guard type.hasPrefix("application/x-protobuf"),
            let status = skein__v1__otlp__rpcstatus__unpack(nil, response.body.count, response.body)
        else { return "" }
        defer { skein__v1__otlp__rpcstatus__free_unpacked(status, nil) }
        return text(status.pointee.message)
    }

    private static func text(_ data: ProtobufCBinaryData) -> String {
        text(UnsafeBufferPointer(start: data.data, count: data.len).prefix(4 * maxReasonCharacters))
    }

    /// One bounded line: invalid UTF-8 is repaired, control characters become spaces.
    private static func text(_ bytes: some Sequence<UInt8>) -> String {
        let line = bytes.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }
        return String(String(decoding: line, as: UTF8.self).prefix(maxReasonCharacters))
    }
}
