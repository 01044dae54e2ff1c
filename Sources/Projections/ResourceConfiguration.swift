/// Who the exported telemetry says it comes from (`otel-projections.md` 2.1).
package struct ResourceConfiguration: Sendable, Hashable {
    package var serviceName: String
    package var serviceNamespace: String?
    package var serviceVersion: String?
    package var instrumentationScope: String
    /// A key here replaces the attribute of the same name, also `service.name`.
    package var resourceAttributes: [String: String]

    package init(
        serviceName: String = "unknown_service", serviceNamespace: String? = nil, serviceVersion: String? = nil,
        instrumentationScope: String = "opentelemetry", resourceAttributes: [String: String] = [:]
    ) {
        self.serviceName = serviceName
        self.serviceNamespace = serviceNamespace
        self.serviceVersion = serviceVersion
        self.instrumentationScope = instrumentationScope
        self.resourceAttributes = resourceAttributes
    }
}
