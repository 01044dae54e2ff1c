package import Ingest

extension CollectorConfiguration {
    /// The HTTP server that takes events in.
    package struct Ingest: Sendable {
        package var isEnabled = false
        package var host = "127.0.0.1"
        package var port: UInt16 = 4319
        /// Paths of PEM files.
        package var certificateFile: String?
        package var keyFile: String?
        package var access = IngestAccess()
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
    }
}
