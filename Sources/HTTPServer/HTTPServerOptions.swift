package import HTTPProtocol

/// Where and how a server listens, and what it allows.
package struct HTTPServerOptions: Sendable {
    package struct TLS: Sendable {
        /// PEM: the server's certificate, and those that vouch for it.
        package var certificate: String
        package var key: String

        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// An IP address of this machine, or `localhost`.
    package var host: String
    /// 0 takes a free one.
    package var port: UInt16
    package var tls: TLS?
    package var threads = 1
    package var maximumConnections = 256
    /// Of one IP address.
    package var maximumConnectionsPerAddress = 128
    /// Of a connection: request line and headers must fit, and the body is read through it.
    package var connectionBytes = 48 << 10
    package var deadlines = ConnectionDeadlines.Limits()
    /// Of a body that is refused: so much is still read so that the client sees the answer.
    package var discardLimit = 64 << 20

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }
}

/// Why a server cannot start.
package struct HTTPServerError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: Sendable {
        case address
        case inUse
        case tls
        case other
    }

    package let code: Code
    package let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
