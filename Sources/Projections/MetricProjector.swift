package import ATOF

/// Adds up the measurements of metric marks, and the time to the first chunk of streamed model calls, and collects them periodically
/// (`otel-projections.md` 5.2, 5.3, 10).
///
/// A pure machine. Log time stands for the wall clock: what is collected, and when, is a function of what came, so a task that continues
/// from a snapshot continues its sums and repeats its collections as they were. Tenants have instruments and limits of their own.
package struct MetricProjector: Sendable {
    private struct Tenant: Sendable {
        var instruments: [MetricInstrument] = []
        var numbers: [String: Int] = [:]
        /// Counted up with every use.
        var lastUse: UInt64 = 0
    }

    /// Runs with events that wait for the next collection, beyond which it comes early.
    private static let maximumPendingRuns = 16_384

    package let configuration: MetricConfiguration
    package private(set) var counters = MetricCounters()
    package private(set) var diagnostics = ProjectionDiagnostics()
    /// Log time, nanoseconds since 1970: of the last message.
    package private(set) var now: UInt64 = 0

    private var tenants: [String: Tenant] = [:]
    private var uses: UInt64 = 0
    /// When the next collection is due; nil before anything was measured.
    private var nextCollection: UInt64?
    private var hasNews = false
    /// Of all instruments.
    package private(set) var seriesCount = 0
    private var pendingRuns = 0

    package init(configuration: MetricConfiguration) {
        self.configuration = configuration
    }

    // MARK: Events

    /// A message of this log time came, with or without events: collects if that is due.
    package mutating func advance(to time: UInt64, into output: inout MetricOutput) {
        now = max(now, time)
        guard let due = nextCollection, now >= due else { return }
        collect(at: due, into: &output)
        // Intervals in which nothing came are passed over.
        nextCollection = later(now - (now - due) % configuration.exportInterval)
    }

    /// Takes an event in.
    ///
    /// - Parameter isExpired: it has waited for too long, so it is counted and not measured.
    package mutating func receive(
        _ event: Event, of tenant: String, isExpired: Bool = false, into output: inout MetricOutput
    ) {
        let run = ScopeKey(tenant: tenant, uuid: event.rootUUID ?? event.uuid)
        output.events.receive(run)
        let measurements: [MetricMeasurement]
        switch event.kind {
        case .scopeStart: measurements = []
        case .scopeEnd:
            measurements = FirstChunk.measurement(ofEnd: event, configuration.compatibility).map { [$0] } ?? []
        case .mark: measurements = event.dataSchema?.name == MarkRules.metricSchema ? valid(event) : []
        }
        if measurements.isEmpty { return output.events.settle(1, .notProjected, of: run) }
        if isExpired { return output.events.settle(1, .expired, of: run) }
        if tenants[tenant] == nil { makeRoom(into: &output) }
        guard record(measurements, event, run) else { return output.events.settle(1, .notProjected, of: run) }
        if nextCollection == nil { nextCollection = later(now) }
        if pendingRuns >= MetricProjector.maximumPendingRuns { collect(at: now, into: &output) }
    }

    /// An interval after a time.
    private func later(_ time: UInt64) -> UInt64 {
        let (sum, overflow) = time.addingReportingOverflow(configuration.exportInterval)
        return overflow ? .max : sum
    }

    private mutating func valid(_ mark: Event) -> [MetricMeasurement] {
        do throws(MetricMarkError) {
            return try MetricMark.measurements(of: mark)
        } catch {
            counters.invalidMarks += 1
            diagnostics.record(
                "otel.metric_mark_invalid", "\(mark.metricSource) was dropped as a whole: \(error.reason)")
            return []
        }
    }

    // MARK: Recording

    /// - Returns: whether the measurements were taken, all of them or none.
    private mutating func record(_ measurements: [MetricMeasurement], _ event: Event, _ run: ScopeKey) -> Bool {
        uses += 1
        // Taken out, so that it is changed in its place.
        var tenant = tenants.removeValue(forKey: run.tenant) ?? Tenant()
        tenant.lastUse = uses
        defer { tenants[run.tenant] = tenant }
        var added: Set<String> = []
        for measurement in measurements {
            guard let number = tenant.numbers[measurement.name] else {
                added.insert(measurement.name)
                continue
            }
            if tenant.instruments[number].descriptor != measurement.descriptor {
                counters.descriptorConflicts += 1
                diagnostics.record(
                    "otel.metric_descriptor_conflict",
                    "\(event.metricSource) was dropped as a whole: \(measurement.name) has another kind, value_type or unit"
                )
                return false
            }
        }
        if !added.isEmpty, tenant.instruments.count + added.count > configuration.maximumInstruments {
            counters.instrumentLimit += 1
            diagnostics.record(
                "otel.metric_instrument_limit",
                "\(event.metricSource) was dropped as a whole: there are \(configuration.maximumInstruments) instruments already"
            )
            return false
        }
        for (index, measurement) in measurements.enumerated() {
            let number: Int
            if let known = tenant.numbers[measurement.name] {
                number = known
            } else {
                number = tenant.instruments.count
                tenant.numbers[measurement.name] = number
                tenant.instruments.append(MetricInstrument(measurement, now: now))
            }
            record(measurement, in: &tenant.instruments[number], countedFor: index == 0 ? run : nil)
        }
        hasNews = true
        return true
    }

    private mutating func record(
        _ measurement: MetricMeasurement, in instrument: inout MetricInstrument, countedFor run: ScopeKey?
    ) {
        let (series, runs) = (instrument.seriesCount, instrument.pendingRuns)
        let canGrow = seriesCount < configuration.maximumSeries
        if instrument.record(measurement, canGrow: canGrow, configuration) {
            counters.overflowed += 1
            diagnostics.record(
                "otel.metric_cardinality_limit",
                "\(measurement.name) has too many attribute sets: further ones are added up in its overflow series")
        }
        if let run { instrument.count(run) }
        seriesCount += instrument.seriesCount - series
        pendingRuns += instrument.pendingRuns - runs
    }

    // MARK: Collecting

    /// Collects everything before its time.
    package mutating func finish(into output: inout MetricOutput) { collect(at: now, into: &output) }

    /// When a collection would say something new.
    package func nextDeadline() -> UInt64? { hasNews ? nextCollection : nil }

    private mutating func collect(at time: UInt64, into output: inout MetricOutput) {
        for name in tenants.keys.sorted() { collect(name, at: time, into: &output) }
        hasNews = false
    }

    private mutating func collect(_ name: String, at time: UInt64, into output: inout MetricOutput) {
        guard var tenant = tenants.removeValue(forKey: name) else { return }
        for index in tenant.instruments.indices {
            let (series, runs) = (tenant.instruments[index].seriesCount, tenant.instruments[index].pendingRuns)
            if let (metric, shares) = tenant.instruments[index].collect(at: time, configuration) {
                output.metrics.append(.init(metric: metric, tenant: name, shares: shares))
            }
            seriesCount += tenant.instruments[index].seriesCount - series
            pendingRuns += tenant.instruments[index].pendingRuns - runs
        }
        tenants[name] = tenant
    }

    /// Before another tenant comes: of too many the one that was silent for the longest time goes, and says what it knows.
    private mutating func makeRoom(into output: inout MetricOutput) {
        guard tenants.count >= configuration.maximumTenants,
            let oldest = tenants.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
        else { return }
        collect(oldest, at: now, into: &output)
        let series = tenants.removeValue(forKey: oldest)?.instruments.reduce(0) { $0 + $1.seriesCount }
        seriesCount -= series ?? 0
        counters.forgottenTenants += 1
    }

    // MARK: Snapshot

    private static let snapshotVersion: UInt8 = 2

    /// Sums and start times. Counters and diagnostics belong to the process and are not in it.
    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: MetricProjector.snapshotVersion)
        writer.write(now)
        writer.write(nextCollection) { $0.write($1) }
        writer.write(UInt64(hasNews ? 1 : 0))
        writer.write(tenants.count)
        for (name, tenant) in tenants.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
            writer.write(name)
            writer.write(tenant.instruments.count)
            for instrument in tenant.instruments { instrument.write(to: &writer) }
        }
        return writer.bytes
    }

    /// Continues where the snapshot was taken.
    ///
    /// - Throws: `SnapshotError` when the bytes are no snapshot of this version.
    package init(configuration: MetricConfiguration, snapshot: [UInt8]) throws(SnapshotError) {
        self.init(configuration: configuration)
        var reader = try SnapshotReader(snapshot, version: MetricProjector.snapshotVersion)
        now = try reader.readNumber()
        nextCollection = try reader.readOptional { reader throws(SnapshotError) in try reader.readNumber() }
        hasNews = try reader.readNumber() == 1
        for _ in 0..<(try reader.readCount()) {
            let name = try reader.readText()
            var tenant = Tenant()
            for _ in 0..<(try reader.readCount()) {
                let instrument = try MetricInstrument(from: &reader)
                tenant.numbers[instrument.name] = tenant.instruments.count
                tenant.instruments.append(instrument)
                seriesCount += instrument.seriesCount
                pendingRuns += instrument.pendingRuns
            }
            uses += 1
            tenant.lastUse = uses
            tenants[name] = tenant
        }
        try reader.end()
    }
}

extension Event {
    /// What a measurement came from.
    fileprivate var metricSource: String { "The \(isMark ? "metric mark" : "first chunk of the call") \"\(name)\"" }
}
