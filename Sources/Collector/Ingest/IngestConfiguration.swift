internal import ATOF
package import Ingest

extension CollectorConfiguration {
    /// The HTTP server that takes events in.
    package struct Ingest: Sendable {
        package var isEnabled = false
        /// Nobody asked for it: when its port is taken, the collector runs without it.
        package var isOptional = false
        package var host = "127.0.0.1"
        package var port: UInt16 = 4319
        /// Paths of PEM files.
        package var certificateFile: String?
        package var keyFile: String?
        package var access = IngestAccess()
        package var browserGuard = BrowserGuard()
        /// Of a body whose length is announced; streams have no limit.
        package var maximumBodyBytes = 64 << 20
        /// What all requests together may hold that the broker has not stored yet.
        package var maximumHeldBytes = 128 << 20
        package var maximumConnections = 1024
        package var maximumConnectionsPerAddress = 256
        package var eventsPerSecond = 20_000
        package var bytesPerSecond = 64 << 20
        /// Invalid lines of a producer that become dead letters.
        package var invalidLinesPerSecond = 100
        /// How long a POST waits for the broker before it is answered 503.
        package var patience = Duration.seconds(10)

        package init() {}

        /// Where events go, as clients write it.
        package var url: String {
            let host = self.host.contains(":") ? "[\(self.host)]" : self.host
            return "\(certificateFile == nil ? "http" : "https")://\(host):\(port)/v1/atof"
        }
    }

    /// Takes events in over HTTP on loopback though no file says so.
    ///
    /// - Parameter port: nil takes the usual one, if no file says anything and the port is free.
    package mutating func takeIngest(port: UInt16?) {
        if let port {
            ingest.isEnabled = true
            ingest.host = "127.0.0.1"
            ingest.port = port
        } else if document.root["ingest"] == nil {
            ingest.isEnabled = TCPPort.isFree(ingest.port, host: ingest.host)
            ingest.isOptional = true
        }
    }
}
