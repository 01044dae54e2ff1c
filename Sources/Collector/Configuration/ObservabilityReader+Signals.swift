internal import ATOF
internal import Projections
internal import Stages

// Logs and metrics (`otel-projections.md` 7.2, 7.3). They come after the endpoints for traces, from which theirs may be derived.
extension ObservabilityReader {
    /// - Parameters:
    ///   - version: of the component.
    ///   - isEnabled: whether OpenTelemetry as a whole is.
    mutating func readSignals(_ opentelemetry: inout ConfigurationSection, version: Int64?, isEnabled: Bool) {
        for signal in [OTLPSignal.logs, .metrics] where version == 3 && opentelemetry.has(signal.rawValue) {
            opentelemetry.report(
                .error, "unsupported_value", signal.rawValue, "is not part of version 3; set version = 4")
        }
        if var section = opentelemetry.section("logs") {
            let isOn = (section.bool("enabled") ?? false) && isEnabled
            let read = readLogs(&section, isOn)
            if isOn { logEndpoints = read }
            opentelemetry.finish(section)
        }
        if var section = opentelemetry.section("metrics") {
            let isOn = (section.bool("enabled") ?? false) && isEnabled
            let read = readMetrics(&section, isOn)
            if isOn { metricEndpoints = read }
            opentelemetry.finish(section)
        }
    }

    private mutating func readLogs(
        _ section: inout ConfigurationSection, _ isOn: Bool
    ) -> [CollectorConfiguration.LogEndpoint] {
        var configuration = LogConfiguration()
        if let word = section.string("minimum_severity") {
            if let severity = LogSeverity(word: word) {
                configuration.minimumSeverity = severity
            } else {
                section.complain("minimum_severity", "is \"\(word)\", must be trace, debug, info, warn or error")
            }
        }
        if let lifetime = readCompletedLifetime(&section) { configuration.completedLifetime = lifetime }
        let queue = section.integer("max_queue_size") ?? 2048
        let batch = section.integer("max_export_batch_size") ?? min(queue, 512)
        if batch > queue {
            section.complain("max_export_batch_size", "is \(batch), more than max_queue_size, which is \(queue)")
        }
        let delay = section.integer("scheduled_delay_millis") ?? 1000
        var endpoints = readEndpoints(&section, .logs, configuration, isOn)
        for index in endpoints.indices {
            endpoints[index].maximumQueueItems = Int(clamping: queue)
            endpoints[index].maximumBatchItems = Int(clamping: batch)
            endpoints[index].scheduledDelay = .milliseconds(delay)
        }
        return endpoints
    }

    private mutating func readMetrics(
        _ section: inout ConfigurationSection, _ isOn: Bool
    ) -> [CollectorConfiguration.MetricEndpoint] {
        var configuration = MetricConfiguration()
        if let millis = section.integer("export_interval_millis") {
            // A year: times are counted in nanoseconds of 64 bits.
            if millis > 31_536_000_000 {
                section.complain("export_interval_millis", "must be at most 31536000000, is \(millis)")
            }
            configuration.exportInterval = UInt64(min(millis, 31_536_000_000)) * 1_000_000
        }
        if let word = section.string("temporality") {
            let lower = word.lowercased()
            if let known = MetricConfiguration.Temporality(rawValue: lower == "lowmemory" ? "low_memory" : lower) {
                configuration.temporality = known
            } else {
                section.complain("temporality", "is \"\(word)\", must be cumulative, delta or low_memory")
            }
        }
        if let count = section.integer("max_instruments") { configuration.maximumInstruments = Int(clamping: count) }
        if let count = section.integer("cardinality_limit") {
            if count == .max { section.complain("cardinality_limit", "must be less than \(count)") }
            configuration.cardinalityLimit = Int(clamping: count)
        }
        return readEndpoints(&section, .metrics, configuration, isOn)
    }

    // MARK: Endpoints

    private mutating func readEndpoints<Projection>(
        _ section: inout ConfigurationSection, _ signal: OTLPSignal, _ projection: Projection, _ isOn: Bool
    ) -> [OTLPEndpoint<Projection>] {
        var result: [OTLPEndpoint<Projection>] = []
        let listed = section.sections("endpoints")
        if let listed {
            for endpoint in listed {
                var endpoint = endpoint
                if let read = readEndpoint(&endpoint, signal, projection) { result.append(read) }
                section.finish(endpoint)
            }
            if listed.isEmpty, isOn {
                section.complain("endpoints", "is empty; name an endpoint, or leave the key out to use those of traces")
            }
        } else if !section.has("endpoints"), isOn {
            result = derivedEndpoints(&section, signal, projection)
        }
        nameEndpoints(&result, &section, signal)
        var seen: Set<String> = []
        for (index, endpoint) in result.enumerated() where !seen.insert(OTLPSignal.destination(endpoint.url)).inserted {
            section.report(
                .error, "unsafe_otel_destination_collision", listed == nil ? "endpoints" : "endpoints[\(index)]",
                "leads to the same place as another endpoint for \(signal.rawValue); everything would arrive twice")
        }
        return result
    }

    private func derivedEndpoints<Projection>(
        _ section: inout ConfigurationSection, _ signal: OTLPSignal, _ projection: Projection
    ) -> [OTLPEndpoint<Projection>] {
        var result: [OTLPEndpoint<Projection>] = []
        for traces in endpoints {
            if let url = signal.url(derivedFrom: traces.url) {
                result.append(traces.derived(name: "", url: url, projection: projection))
            } else {
                section.report(
                    .warning, "invalid_otel_endpoint", "endpoints",
                    "is missing, and the path of the endpoint \(traces.name) for traces does not say where \(signal.rawValue) go: that one gets none"
                )
            }
        }
        if result.isEmpty {
            section.complain("endpoints", "is missing, and there is no endpoint for traces to derive it from; name one")
        }
        return result
    }

    private func readEndpoint<Projection>(
        _ endpoint: inout ConfigurationSection, _ signal: OTLPSignal, _ projection: Projection
    ) -> OTLPEndpoint<Projection>? {
        if endpoint.has("type") {
            _ = endpoint.raw("type")
            endpoint.report(.error, "unsupported_value", "type", "is for traces only; remove it")
        }
        let text = endpoint.string("endpoint") ?? ""
        let url = signal.url(text)
        if url == nil {
            endpoint.complain(
                "endpoint", "must be an http:// or https:// URL, such as http://127.0.0.1:4318\(signal.path)")
        } else if let other = OTLPSignal(standardPathOf: text), other != signal {
            endpoint.complain("endpoint", "ends in \(other.path), which is for \(other.rawValue)")
        }
        if let transport = endpoint.string("transport"), transport != "http_binary" {
            endpoint.complain("transport", "is \"\(transport)\"; Skein speaks http_binary only, not gRPC")
        }
        if endpoint.raw("timeout_millis")?.int64Value == 0 {
            endpoint.complain("timeout_millis", "must be at least 1, is 0")
        }
        var result = OTLPEndpoint(
            name: endpoint.string("name") ?? "", url: url ?? text, projection: projection,
            resource: readResource(&endpoint))
        if !result.name.isEmpty, !SkeinSubjects.isName(result.name) {
            endpoint.complain("name", "is \"\(result.name)\", must be made of a-z, 0-9, _ and -")
        }
        readTransport(&endpoint, &result)
        for header in result.headers where header.value.isBlankOrPadded {
            endpoint.complain("headers.\(header.name)", "has a value that is blank or has spaces around it")
        }
        return url == nil ? nil : result
    }

    /// Names that nobody gave are the signal's, numbered from the second on. They are names of stages: no other signal may have them.
    private mutating func nameEndpoints<Projection>(
        _ result: inout [OTLPEndpoint<Projection>], _ section: inout ConfigurationSection, _ signal: OTLPSignal
    ) {
        var taken = Set(endpoints.map(\.name) + logEndpoints.map(\.name))
        for (index, endpoint) in result.enumerated() where !endpoint.name.isEmpty {
            if !taken.insert(endpoint.name).inserted {
                section.complain(
                    "endpoints[\(index)].name",
                    "\"\(endpoint.name)\" names another endpoint already; names must be unique")
            }
        }
        for index in result.indices where result[index].name.isEmpty {
            var number = 1
            var name = signal.rawValue
            while !taken.insert(name).inserted {
                number += 1
                name = "\(signal.rawValue)-\(number)"
            }
            result[index].name = name
        }
    }
}

extension String {
    fileprivate var isBlankOrPadded: Bool {
        guard let first = unicodeScalars.first, let last = unicodeScalars.last else { return true }
        return first.properties.isWhitespace || last.properties.isWhitespace
    }
}
