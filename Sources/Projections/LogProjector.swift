package import ATOF

/// Turns the marks of a partition into log records; scopes only tell it whose trace a mark belongs to (`otel-projections.md` 5.1, 6).
///
/// A pure machine: what it puts out is a function of what it was given, in that order. Log time stands for the wall clock.
package struct LogProjector: Sendable {
    package let configuration: LogConfiguration
    package private(set) var counters = LogCounters()
    package private(set) var diagnostics = ProjectionDiagnostics()
    /// Log time, nanoseconds since 1970: of the last message.
    package private(set) var now: UInt64 = 0

    private var lineage: ScopeLineage

    /// The reference tells of more open scopes than this, once.
    private static let highWater = 4096

    package init(configuration: LogConfiguration) {
        self.configuration = configuration
        lineage = ScopeLineage(configuration)
    }

    package var openScopeCount: Int { lineage.openCount }

    /// A message of this log time came, with or without events.
    package mutating func advance(to time: UInt64) {
        now = max(now, time)
        lineage.advance(now: now)
        counters.forgottenScopes = lineage.forgotten
    }

    /// Takes an event in.
    ///
    /// - Parameter isExpired: it has waited for too long, so it is counted and makes no record.
    package mutating func receive(
        _ event: Event, of tenant: String, isExpired: Bool = false, into output: inout LogOutput
    ) {
        guard let time = event.timestamp.epochNanoseconds else {
            counters.timestampsOutOfRange += 1
            diagnostics.record("otel.timestamp_out_of_range", "An event before 1970 or after 2554 was dropped")
            return output.receive(ScopeKey(tenant: tenant, uuid: event.rootUUID ?? event.uuid), .notProjected)
        }
        lineage.advance(tenant, to: time)
        let key = ScopeKey(tenant: tenant, uuid: event.uuid)
        switch event.kind {
        case .scopeStart:
            lineage.started(event, tenant, time: time, now: now)
            counters.forgottenScopes = lineage.forgotten
            if lineage.openCount > LogProjector.highWater,
                diagnostics.entries["otel.log_active_scope_high_water"] == nil
            {
                diagnostics.record(
                    "otel.log_active_scope_high_water",
                    "More than \(LogProjector.highWater) scopes are open: scopes may start that do not end")
            }
            output.receive(ScopeKey(tenant: tenant, uuid: event.rootUUID ?? event.uuid), .notProjected)
        case .scopeEnd:
            lineage.ended(key, time: time)
            output.receive(ScopeKey(tenant: tenant, uuid: event.rootUUID ?? event.uuid), .notProjected)
        case .mark: markReceived(event, tenant, time, isExpired, &output)
        }
    }

    private mutating func markReceived(
        _ event: Event, _ tenant: String, _ time: UInt64, _ isExpired: Bool, _ output: inout LogOutput
    ) {
        let resolution = lineage.parent(of: event, tenant, time: time)
        let traceID: EventUUID?
        switch resolution {
        case .found(let found): traceID = found
        case .remote(let found): traceID = found.traceID
        case .expired, .none: traceID = nil
        }
        let run = ScopeKey(tenant: tenant, uuid: event.rootUUID ?? traceID ?? event.uuid)
        // Metric marks never reach logs, valid or not (5.2).
        if event.dataSchema?.name == MarkRules.metricSchema { return output.receive(run, .notProjected) }
        if isExpired { return output.receive(run, .expired) }
        let metadata = event.metadata?.value.nonNull
        guard let severity = LogRules.severity(metadata) else {
            counters.invalidSeverities += 1
            diagnostics.record(
                "otel.log_mark_invalid_severity",
                "The log mark \"\(event.name)\" was dropped: its severity is none of trace, debug, info, warn, warning and error"
            )
            return output.receive(run, .notProjected)
        }
        guard severity >= configuration.minimumSeverity else {
            counters.belowSeverity += 1
            return output.receive(run, .notProjected)
        }
        if resolution == .expired {
            diagnostics.record(
                "otel.completed_log_context_expired",
                "The parent of the log mark \"\(event.name)\" ended too long before it")
        }
        let context = traceID.flatMap { traceID in
            event.parentUUID.map { ProjectedLogRecord.Context(traceID: traceID, spanID: $0.spanID) }
        }
        output.add(
            ProjectedLogRecord(
                time: time, observedTime: now, severity: severity, body: event.data?.value.nonNull,
                attributes: LogRules.attributes(event, metadata: metadata, traceID: traceID), context: context),
            of: run)
    }

    /// When time alone changes something.
    package mutating func nextDeadline() -> UInt64? { lineage.deadline }

    // MARK: Snapshot

    private static let snapshotVersion: UInt8 = 2

    /// Which scopes belong to which traces. Counters and diagnostics belong to the process and are not in it.
    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: LogProjector.snapshotVersion)
        writer.write(now)
        lineage.write(to: &writer)
        return writer.bytes
    }

    /// Continues where the snapshot was taken.
    ///
    /// - Throws: `SnapshotError` when the bytes are no snapshot of this version.
    package init(configuration: LogConfiguration, snapshot: [UInt8]) throws(SnapshotError) {
        self.init(configuration: configuration)
        var reader = try SnapshotReader(snapshot, version: LogProjector.snapshotVersion)
        now = try reader.readNumber()
        try lineage.restore(from: &reader)
        try reader.end()
    }
}
