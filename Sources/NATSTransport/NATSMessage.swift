internal import CNATS

#if canImport(Glibc)
    internal import Glibc
#endif

/// A message as plain values: nothing of it belongs to cnats.
package struct NATSMessage: Sendable {
    package let subject: String
    package let reply: String?
    package let headers: NATSHeaders
    package let payload: [UInt8]

    package init(subject: String, reply: String? = nil, headers: NATSHeaders = [:], payload: [UInt8]) {
        self.subject = subject
        self.reply = reply
        self.headers = headers
        self.payload = payload
    }

    /// The status code of a message without payload that the server made itself (100, 404, 408, 409, 503), else `nil`.
    var status: Int? {
        guard payload.isEmpty, !headers.isEmpty, let text = headers["Status"] else { return nil }
        return Int(text)
    }
}

extension NATSMessage {
    /// Copies what a cnats message holds and destroys it.
    init(consuming message: OpaquePointer) {
        defer { natsMsg_Destroy(message) }
        subject = natsMsg_GetSubject(message).map { String(cString: $0) } ?? ""
        reply = natsMsg_GetReply(message).map { String(cString: $0) }
        headers = NATSHeaders(message: message)
        payload = Array(
            UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: Int(natsMsg_GetDataLength(message))))
    }
}

extension NATSHeaders {
    /// Copies the headers of a cnats message. cnats owns the strings; the arrays of pointers are ours to free.
    fileprivate init(message: OpaquePointer) {
        self.init()
        var names: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        var nameCount: Int32 = 0
        guard natsMsgHeader_Keys(message, &names, &nameCount) == NATS_OK, let names else { return }
        defer { free(names) }
        for nameIndex in 0..<Int(nameCount) {
            guard let name = names[nameIndex] else { continue }
            var values: UnsafeMutablePointer<UnsafePointer<CChar>?>?
            var valueCount: Int32 = 0
            guard natsMsgHeader_Values(message, name, &values, &valueCount) == NATS_OK, let values else { continue }
            defer { free(values) }
            for valueIndex in 0..<Int(valueCount) {
                add(String(cString: name), values[valueIndex].map { String(cString: $0) } ?? "")
            }
        }
    }
}
