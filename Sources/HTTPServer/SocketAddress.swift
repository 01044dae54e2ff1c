internal import Glibc

/// An IP address and a port to listen on.
struct SocketAddress {
    private enum Value {
        case four(sockaddr_in)
        case six(sockaddr_in6)
    }

    private let value: Value

    init(host: String, port: UInt16) throws(HTTPServerError) {
        let host = host == "localhost" ? "127.0.0.1" : host
        var four = sockaddr_in()
        if inet_pton(AF_INET, host, &four.sin_addr) == 1 {
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            value = .four(four)
            return
        }
        var six = sockaddr_in6()
        guard inet_pton(AF_INET6, host, &six.sin6_addr) == 1 else {
            throw HTTPServerError(
                .address, "\(host) is not an IP address of this machine; use 127.0.0.1 or 0.0.0.0")
        }
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        value = .six(six)
    }

    var isIPv6: Bool { if case .six = value { true } else { false } }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>) -> Result) -> Result {
        switch value {
        case .four(let address):
            withUnsafePointer(to: address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
        case .six(let address):
            withUnsafePointer(to: address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
        }
    }
}
