package import Projections

/// Writes who exports, as packed OTLP messages that are the same for every request of an endpoint
/// (`otel-projections.md` 2.1).
package enum ResourceEncoder {
    /// - Parameter version: Skein's own, for `telemetry.sdk.version`.
    /// - Returns: the body of a Resource.
    package static func resource(_ configuration: ResourceConfiguration, version: String) -> [UInt8] {
        var texts = [
            "telemetry.sdk.name": "skein", "telemetry.sdk.language": "swift", "telemetry.sdk.version": version,
            "service.name": configuration.serviceName,
        ]
        texts["service.namespace"] = configuration.serviceNamespace
        texts["service.version"] = configuration.serviceVersion
        texts.merge(configuration.resourceAttributes) { $1 }
        let attributes = texts.sorted { $0.key < $1.key }.map { Attribute($0.key, .string($0.value)) }
        return ProtobufWriter.bytes(AttributeEncoder.size(attributes, field: 1)) { writer in
            AttributeEncoder.write(attributes, field: 1, &writer)
        }
    }

    /// - Returns: the body of an InstrumentationScope.
    package static func scope(_ configuration: ResourceConfiguration) -> [UInt8] {
        let name = configuration.instrumentationScope
        if name.isEmpty { return [] }
        return ProtobufWriter.bytes(ProtobufSize.text(1, name)) { $0.text(1, name) }
    }
}
