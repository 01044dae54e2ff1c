/// The server's word that a stream has stored a message.
package struct PubAck: Sendable, Equatable {
    package let stream: String
    package let sequence: UInt64
    /// Whether a message with the same `Nats-Msg-Id` was stored before, and this one was not.
    package let duplicate: Bool
}

extension PubAck {
    /// Reads the reply to a publish.
    static func parse(_ message: NATSMessage, subject: String) -> Result<PubAck, NATSError> {
        if message.status == 503 { return .failure(.noStream(subject)) }
        do throws(NATSError) {
            return .success(try parse(message.payload, subject: subject))
        } catch {
            return .failure(error)
        }
    }

    /// Reads an ack; the form that servers write is scanned by hand, because a JSON decoder takes longer than
    /// everything else of a publish.
    static func parse(_ bytes: [UInt8], subject: String) throws(NATSError) -> PubAck {
        if let ack = scan(bytes) { return ack }
        let reply = try JSON.decode(Reply.self, from: bytes, about: subject)
        if let error = reply.error { throw .api(error, about: subject) }
        guard let stream = reply.stream, let sequence = reply.seq else {
            throw NATSError(.protocolViolation, "The publish ack for \(subject) names no stream.")
        }
        return PubAck(stream: stream, sequence: sequence, duplicate: reply.duplicate ?? false)
    }

    /// `{"stream":"<name>","seq":<digits>` and then `}` or `,"duplicate":true}`; anything else is left to the decoder.
    private static func scan(_ bytes: [UInt8]) -> PubAck? {
        bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            func take(_ text: StaticString) -> Bool {
                let count = text.utf8CodeUnitCount
                guard bytes.count - index >= count else { return false }
                for offset in 0..<count where bytes[index + offset] != text.utf8Start[offset] { return false }
                index += count
                return true
            }
            guard take("{\"stream\":\"") else { return nil }
            let nameStart = index
            while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                if bytes[index] == UInt8(ascii: "\\") { return nil }
                index += 1
            }
            let name = bytes[nameStart..<index]
            guard take("\",\"seq\":") || take("\", \"seq\":") else { return nil }
            var sequence: UInt64 = 0
            let digits = index
            while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39, index - digits < 19 {
                sequence = sequence * 10 + UInt64(bytes[index] - 0x30)
                index += 1
            }
            guard index > digits else { return nil }
            let duplicate = take(",\"duplicate\":true") || take(",\"duplicate\": true")
            guard take("}"), index == bytes.count else { return nil }
            return PubAck(stream: String(decoding: name, as: UTF8.self), sequence: sequence, duplicate: duplicate)
        }
    }

    private struct Reply: Decodable {
        let error: APIError?
        let stream: String?
        let seq: UInt64?
        let duplicate: Bool?
    }
}
