import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Ports of the loopback interface for servers that must be reached at a port that is known before they start, or that come again at theirs.
///
/// They lie below those that the system gives to clients and to servers that ask for any, so nobody has one meanwhile.
package enum FreePorts {
    private static let range: Range<UInt16> = 20_000..<32_000
    private static let next = Mutex(UInt16.random(in: range))

    /// Ports that nobody listens on now, none of which was handed out before.
    package static func take(_ count: Int = 1) throws -> [UInt16] {
        try (0..<count).map { _ in
            for _ in range {
                let port = next.withLock { next in
                    defer { next = next + 1 < range.upperBound ? next + 1 : range.lowerBound }
                    return next
                }
                if isFree(port) { return port }
            }
            throw NATSTestCluster.Failure(description: "no port of \(range) is free")
        }
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
