internal import CMicroHTTPD
internal import Glibc
package import HTTPProtocol

/// A request as far as its headers.
package struct HTTPServerRequest: Sendable {
    package let method: String
    /// Percent-encoding is undone; without the query.
    package let path: String
    /// Of the query, decoded.
    package let query: [(name: String, value: String)]
    package let headers: [(name: String, value: String)]
    /// The IP address of the client, such as `127.0.0.1` or `::1`.
    package let peer: String
    package let framing: RequestFraming

    /// The value of the first header of the name, compared without case.
    package subscript(_ name: String) -> String? {
        let wanted = name.utf8
        return headers.first { header in
            header.name.utf8.count == wanted.count
                && zip(header.name.utf8, wanted).allSatisfy { lower($0) == lower($1) }
        }?.value
    }

    package func queryValue(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// The length that the client announces, 0 without one; nil when nobody knows it.
    package var contentLength: Int? { if case .length(let length) = framing { length } else { nil } }
    /// The body comes in chunks and ends when it ends.
    package var isStream: Bool { framing == .chunked }

    private func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
}

extension HTTPServerRequest {
    /// Copies everything out of libmicrohttpd's memory, which lives as long as the request.
    ///
    /// - Parameter target: of the request line, as it was sent.
    /// - Throws: when it is not clear where its body ends, or what its path is.
    init(
        _ connection: OpaquePointer, method: UnsafePointer<CChar>?, path: UnsafePointer<CChar>?,
        version: UnsafePointer<CChar>?, target: String, peer: String
    ) throws(RequestFraming.Refusal) {
        self.method = method.map { String(cString: $0) } ?? ""
        self.path = path.map { String(cString: $0) } ?? ""
        self.peer = peer
        headers = HTTPServerRequest.values { skein_mhd_headers(connection, $0, $1) }
        query = HTTPServerRequest.values { skein_mhd_query(connection, $0, $1) }
        framing = try RequestFraming(
            version: version.map { String(cString: $0) } ?? "", target: target, headers: headers)
    }

    private final class Values { var list: [(name: String, value: String)] = [] }

    private static func values(
        _ visit: (MHD_KeyValueIterator, UnsafeMutableRawPointer) -> Void
    ) -> [(name: String, value: String)] {
        let values = Values()
        // Called on this thread before MHD_get_connection_values returns; the texts live as long as the request.
        let collect: MHD_KeyValueIterator = { context, _, name, value in
            guard let context, let name else { return .YES }
            Unmanaged<Values>.fromOpaque(context).takeUnretainedValue().list.append(
                (String(cString: name), value.map { String(cString: $0) } ?? ""))
            return .YES
        }
        visit(collect, Unmanaged.passUnretained(values).toOpaque())
        return values.list
    }

    static func peer(of connection: OpaquePointer) -> String {
        guard let address = skein_mhd_peer(connection) else { return "unknown" }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                _ = withUnsafePointer(to: address.pointee.sin_addr) {
                    inet_ntop(AF_INET, $0, &text, socklen_t(text.count))
                }
            }
        case AF_INET6:
            address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                _ = withUnsafePointer(to: address.pointee.sin6_addr) {
                    inet_ntop(AF_INET6, $0, &text, socklen_t(text.count))
                }
            }
        default: return "unknown"
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
