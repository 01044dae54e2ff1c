package import HTTPTransport
package import OTLP
package import Projections

/// One OTLP/HTTP backend for one signal, and how the signal's items are made for it.
package struct OTLPEndpoint<Projection: Sendable>: Sendable {
    /// `<name>` of the stage `export-<name>`.
    package var name: String
    package var url: String
    package var projection: Projection
    package var resource: ResourceConfiguration
    package var headers: [(name: String, value: String)] = []
    package var timeout = Duration.milliseconds(3000)
    package var compression = OTLPExporter.Compression.gzip
    package var tls = HTTPRequest.TLS()
    package var maximumQueueItems: Int?
    package var maximumBatchItems: Int?
    package var scheduledDelay: Duration?
    /// The wait after a first failure; it doubles with every further one.
    package var initialBackoff: Duration?
    /// What waits longer than this is given up and counted as expired; nil waits for ever.
    package var maximumLag: Duration?
    /// Bytes of items that wait or are under way, for each partition.
    package var maximumQueueBytes: Int?

    /// The URL without userinfo and query, which may hold secrets: what is shown.
    package var address: String { HTTPRequest(method: "POST", url: url).redactedURL }

    /// An endpoint for another signal that is reached in the same way.
    func derived<Other>(name: String, url: String, projection: Other) -> OTLPEndpoint<Other> {
        var other = OTLPEndpoint<Other>(name: name, url: url, projection: projection, resource: resource)
        other.headers = headers
        other.timeout = timeout
        other.compression = compression
        other.tls = tls
        other.initialBackoff = initialBackoff
        other.maximumLag = maximumLag
        other.maximumQueueBytes = maximumQueueBytes
        return other
    }
}

extension CollectorConfiguration {
    package typealias Endpoint = OTLPEndpoint<ProjectionConfiguration>
    package typealias LogEndpoint = OTLPEndpoint<LogConfiguration>
    package typealias MetricEndpoint = OTLPEndpoint<MetricConfiguration>
}
