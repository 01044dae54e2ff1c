package import ATOF

/// Server-sent events to JSON values (`codecs-and-pricing.md` 3, SSE decoding).
///
/// Bytes come in any pieces: only whole lines are read as text, so neither a character nor a CRLF can be cut.
package struct SSEDecoder: Sendable {
    private var line: [UInt8] = []
    private var data: [String] = []

    package init() {}

    /// The events that these bytes complete.
    ///
    /// - Throws: `CodecError` for a payload that is no JSON. The stream has failed then; what came before it counts, and
    ///   is in `events`.
    package mutating func receive(
        _ bytes: some Sequence<UInt8>, into events: inout [JSONValue]
    ) throws(CodecError) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") { try endLine(into: &events) } else { line.append(byte) }
        }
    }

    /// The end of the stream: what is left counts as a last event.
    package mutating func finish(into events: inout [JSONValue]) throws(CodecError) {
        try endLine(into: &events)
        try endEvent(into: &events)
    }

    private mutating func endLine(into events: inout [JSONValue]) throws(CodecError) {
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        if line.isEmpty { return try endEvent(into: &events) }
        if line.starts(with: "data:".utf8) {
            var value = line[5...]
            if value.first == UInt8(ascii: " ") { value.removeFirst() }
            data.append(String(decoding: value, as: UTF8.self))
        }
        line.removeAll(keepingCapacity: true)
    }

    private mutating func endEvent(into events: inout [JSONValue]) throws(CodecError) {
        if data.isEmpty { return }
        let payload = data.joined(separator: "\n").trimmed
        data = []
        if payload == "[DONE]" { return }
        guard let value = StrictJSON.value(of: payload) else {
            throw CodecError(.internal, "an event's data must be JSON")
        }
        events.append(value)
    }
}
