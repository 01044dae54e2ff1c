internal import ATOF
internal import Foundation
internal import HTTPTransport
internal import OTLP
internal import Projections
internal import Stages
internal import Trajectories

/// Reads NeMo Relay's `observability` component, versions 3 and 4 (`otel-projections.md` 7).
struct ObservabilityReader {
    private var section: ConfigurationSection
    private let environment: [String: String]
    private(set) var endpoints: [CollectorConfiguration.Endpoint] = []
    var logEndpoints: [CollectorConfiguration.LogEndpoint] = []
    var metricEndpoints: [CollectorConfiguration.MetricEndpoint] = []
    private(set) var trajectories: CollectorConfiguration.TrajectoryOutput?
    private(set) var stores: [CollectorConfiguration.Store] = []

    static func read(_ component: inout Component) {
        var reader = ObservabilityReader(
            section: component.section(invalidType: nil), environment: component.environment)
        reader.read()
        component.finish(reader.section, governsEvents: false)
        guard component.isEnabled else { return }
        component.configuration.trajectories = reader.trajectories
        component.configuration.endpoints = reader.endpoints
        component.configuration.logEndpoints = reader.logEndpoints
        component.configuration.metricEndpoints = reader.metricEndpoints
        component.configuration.stores = reader.stores
    }

    private init(section: ConfigurationSection, environment: [String: String]) {
        self.section = section
        self.environment = environment
    }

    private mutating func read() {
        if let version = section.integer("version"), version != 3, version != 4 {
            section.report(.error, "unsupported_config_version", "version", "is \(version), must be 3 or 4")
        }
        for legacy in ["openinference", "otel"] where section.has(legacy) {
            _ = section.raw(legacy)
            section.report(
                .error, "legacy_openinference_section", legacy,
                "is the form before version 3; list the endpoint under opentelemetry.traces")
        }
        if section.has("atof") {
            _ = section.raw("atof")
            section.report(
                .warning, "not_applicable", "atof",
                "is about sinks of a producer; a collector has none, so it has no effect")
        }
        if let atif = section.section("atif") { readTrajectories(atif) }
        if let opentelemetry = section.section("opentelemetry") { readOpenTelemetry(opentelemetry) }
    }

    // MARK: ATIF

    private mutating func readTrajectories(_ atif: ConfigurationSection) {
        var atif = atif
        var output = CollectorConfiguration.TrajectoryOutput()
        let enabled = atif.bool("enabled") ?? false
        if let name = atif.string("agent_name") { output.agentName = name }
        if let version = atif.string("agent_version") { output.agentVersion = version }
        if let model = atif.string("model_name") { output.modelName = model }
        output.toolDefinitions = atif.raw("tool_definitions")?.arrayValue
        if atif.has("tool_definitions"), output.toolDefinitions?.allSatisfy({ $0.objectValue != nil }) != true {
            atif.complain("tool_definitions", "must be an array of tables, one for each tool")
        }
        output.extra = atif.raw("extra")
        if let extra = output.extra, extra.objectValue == nil { atif.complain("extra", "must be a table") }
        if let template = atif.string("filename_template") {
            do {
                _ = try FileNameTemplate(template)
                output.fileNameTemplate = template
            } catch {
                atif.complain(
                    "filename_template", "is no template for file names (\(error)); it must contain {session_id}")
            }
        }
        let stores = StorageReader.read(&atif, environment: environment)
        if enabled { (trajectories, self.stores) = (output, stores) }
        section.finish(atif)
    }

    // MARK: OpenTelemetry

    private mutating func readOpenTelemetry(_ opentelemetry: ConfigurationSection) {
        var opentelemetry = opentelemetry
        let enabled = opentelemetry.bool("enabled") ?? false
        let traces = opentelemetry.sections("traces")
        let aliased = opentelemetry.sections("endpoints")
        if traces != nil, aliased != nil {
            opentelemetry.complain("endpoints", "is another name of traces; keep one of both")
        }
        for endpoint in traces ?? aliased ?? [] {
            var endpoint = endpoint
            if let read = readEndpoint(&endpoint), enabled {
                refuseCollision(of: read, &endpoint)
                endpoints.append(read)
            }
            opentelemetry.finish(endpoint)
        }
        nameEndpoints(&opentelemetry)
        readSignals(&opentelemetry, version: section.raw("version")?.int64Value, isEnabled: enabled)
        section.finish(opentelemetry)
    }

    /// Spans of two types have the same ids: one backend would take them for the same spans (`otel-projections.md` 7.3).
    private func refuseCollision(of read: CollectorConfiguration.Endpoint, _ endpoint: inout ConfigurationSection) {
        let destination = OTLPSignal.destination(read.url)
        let other = endpoints.first {
            $0.projection.projection != read.projection.projection && OTLPSignal.destination($0.url) == destination
        }
        guard let other else { return }
        endpoint.report(
            .error, "unsafe_otel_destination_collision", "endpoint",
            "leads to the same place as the endpoint \(other.name) of type \(other.projection.projection.rawValue); one place can take one type only"
        )
    }

    private mutating func readEndpoint(_ endpoint: inout ConfigurationSection) -> CollectorConfiguration.Endpoint? {
        let type = endpoint.string("type")
        if !endpoint.has("type") {
            endpoint.report(.error, "unsupported_value", "type", "is missing; full, gen_ai or openinference")
        }
        let url = endpoint.string("endpoint") ?? ""
        let address = OTLPSignal.traces.url(url)
        if address == nil {
            endpoint.complain("endpoint", "must be an http:// or https:// URL, such as http://127.0.0.1:4318/v1/traces")
        }
        if let transport = endpoint.string("transport"), transport != "http_binary" {
            endpoint.complain("transport", "is \"\(transport)\"; Skein speaks http_binary only, not gRPC")
        }
        let known = type.flatMap { ProjectionConfiguration.Projection(rawValue: $0) }
        var projection = ProjectionConfiguration(projection: known ?? .full)
        switch type {
        case nil: break
        case _ where known != nil: break
        case let other?: endpoint.complain("type", "is \"\(other)\", must be full, gen_ai or openinference")
        }
        readProjection(&endpoint, &projection)
        if known == .genAI, !projection.attributeMappings.isEmpty {
            endpoint.report(
                .warning, "not_applicable", "attribute_mappings",
                "has no effect on gen_ai, whose names are those of the conventions")
        }
        var result = CollectorConfiguration.Endpoint(
            name: endpoint.string("name") ?? "", url: address ?? url, projection: projection,
            resource: readResource(&endpoint))
        if !result.name.isEmpty, !SkeinSubjects.isName(result.name) {
            endpoint.complain("name", "is \"\(result.name)\", must be made of a-z, 0-9, _ and -")
        }
        if !result.name.isEmpty, endpoints.contains(where: { $0.name == result.name }) {
            endpoint.complain("name", "\"\(result.name)\" names another endpoint already; names must be unique")
        }
        readDelivery(&endpoint, &result)
        // The type's word names the endpoint when there is no name; `nameEndpoints` makes it unique.
        if result.name.isEmpty { result.name = type ?? "" }
        return known != nil && address != nil ? result : nil
    }

    private mutating func readProjection(
        _ endpoint: inout ConfigurationSection, _ projection: inout ProjectionConfiguration
    ) {
        if let text = endpoint.string("mark_projection") {
            if let mark = ProjectionConfiguration.MarkProjection(rawValue: text) {
                projection.markProjection = mark
            } else {
                endpoint.complain("mark_projection", "is \"\(text)\", must be inherit, event or tool")
            }
        }
        if let names = endpoint.strings("mark_exclude_names") { projection.markExcludeNames = Set(names) }
        if let prefixes = endpoint.strings("promote_metadata_prefixes") {
            for (index, prefix) in prefixes.enumerated() where !ObservabilityReader.isPromotionPrefix(prefix) {
                endpoint.complain(
                    "promote_metadata_prefixes[\(index)]",
                    "must be segments of A-Z, a-z, 0-9, _ and - joined by single dots")
            }
            if Set(prefixes).count < prefixes.count {
                endpoint.complain("promote_metadata_prefixes", "names a prefix twice")
            }
            projection.promoteMetadataPrefixes = prefixes
        }
        if let lifetime = readCompletedLifetime(&endpoint) { projection.completedLifetime = lifetime }
        for mapping in endpoint.sections("attribute_mappings") ?? [] {
            var mapping = mapping
            let key = mapping.string("key")?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
            let alias = mapping.string("alias")?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
            if key.isEmpty { mapping.complain("key", "must not be blank") }
            if alias.isEmpty { mapping.complain("alias", "must not be blank") }
            if projection.attributeMappings.contains(where: { $0.alias == alias }) {
                mapping.complain("alias", "\"\(alias)\" is used twice; aliases must be unique")
            }
            projection.attributeMappings.append(.init(key: key, alias: alias))
            endpoint.finish(mapping)
        }
    }

    /// Of ended scopes, nanoseconds.
    func readCompletedLifetime(_ section: inout ConfigurationSection) -> UInt64? {
        section.integer("completed_span_context_ttl_millis").map { millis in
            let (nanoseconds, overflow) = UInt64(millis).multipliedReportingOverflow(by: 1_000_000)
            return overflow ? .max : nanoseconds
        }
    }

    func readResource(_ endpoint: inout ConfigurationSection) -> ResourceConfiguration {
        var resource = ResourceConfiguration()
        if let name = endpoint.string("service_name") { resource.serviceName = name }
        resource.serviceNamespace = endpoint.string("service_namespace")
        resource.serviceVersion = endpoint.string("service_version")
        if let scope = endpoint.string("instrumentation_scope") { resource.instrumentationScope = scope }
        if let attributes = endpoint.stringTable("resource_attributes") {
            resource.resourceAttributes = Dictionary(attributes) { _, last in last }
        }
        return resource
    }

    private func readDelivery(_ endpoint: inout ConfigurationSection, _ result: inout CollectorConfiguration.Endpoint) {
        readTransport(&endpoint, &result)
        result.maximumQueueItems = endpoint.integer("max_queue_size").map(Int.init)
        result.maximumBatchItems = endpoint.integer("max_export_batch_size").map(Int.init)
        if let queue = result.maximumQueueItems, let batch = result.maximumBatchItems, batch > queue {
            endpoint.complain("max_export_batch_size", "is \(batch), more than max_queue_size, which is \(queue)")
        }
        result.scheduledDelay = endpoint.integer("scheduled_delay_millis").map { .milliseconds($0) }
    }

    /// What the endpoints of all signals have alike.
    func readTransport<Projection>(
        _ endpoint: inout ConfigurationSection, _ result: inout OTLPEndpoint<Projection>
    ) {
        if let millis = endpoint.integer("timeout_millis", minimum: 0) {
            // 0 waits as long as Relay's default; a request without any limit would hold its batch for ever.
            result.timeout = .milliseconds(millis == 0 ? 3000 : millis)
        }
        for (name, value) in endpoint.stringTable("headers") ?? [] {
            addHeader(&endpoint, "headers.\(name)", name, value, &result)
        }
        for (name, variable) in endpoint.stringTable("header_env") ?? [] {
            guard let value = environment[variable], !value.trimmingCharacters(in: .whitespaces).isEmpty else {
                endpoint.complain("header_env.\(name)", "needs \(variable.asVariable)")
                continue
            }
            addHeader(&endpoint, "header_env.\(name)", name, value, &result)
        }
        if let compression = endpoint.string("compression") {
            if let known = OTLPExporter.Compression(rawValue: compression) {
                result.compression = known
            } else {
                endpoint.complain("compression", "is \"\(compression)\", must be gzip or none")
            }
        }
        if let path = endpoint.string("ca_file") {
            if FileManager.default.isReadableFile(atPath: path) {
                result.tls.caFile = path
            } else {
                endpoint.complain("ca_file", "the file \(path) does not exist or cannot be read")
            }
        }
        result.maximumQueueBytes = endpoint.integer("max_queue_bytes").map(Int.init)
        result.maximumLag = endpoint.integer("max_lag_seconds").map { .seconds($0) }
    }

    private func addHeader<Projection>(
        _ endpoint: inout ConfigurationSection, _ key: String, _ name: String, _ value: String,
        _ result: inout OTLPEndpoint<Projection>
    ) {
        if result.headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
            endpoint.complain(key, "the header is set twice; names do not depend on case")
        } else if let defect = HTTPRequest.defect(ofHeader: name, value) {
            endpoint.complain(key, "cannot be sent: \(defect)")
        } else {
            result.headers.append((name, value))
        }
    }

    /// Unnamed endpoints of one type are numbered from the second on.
    private mutating func nameEndpoints(_ section: inout ConfigurationSection) {
        var taken: Set<String> = []
        for index in endpoints.indices {
            let name = endpoints[index].name
            var unique = name
            var number = 2
            while !taken.insert(unique).inserted {
                unique = "\(name)-\(number)"
                number += 1
            }
            endpoints[index].name = unique
        }
    }

    private static func isPromotionPrefix(_ prefix: String) -> Bool {
        let body = prefix.hasSuffix(".") ? String(prefix.dropLast()) : prefix
        return body.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { segment in
            !segment.isEmpty
                && segment.utf8.allSatisfy {
                    $0 == 0x5F || $0 == 0x2D || ($0 < 0x80 && Character(UnicodeScalar($0)).isLetter)
                        || (0x30...0x39).contains($0)
                }
        }
    }
}
