package import ATOF

/// How the metric endpoints want measurements (`otel-projections.md` 5.3, 7.2).
package struct MetricConfiguration: Sendable, Hashable {
    /// Which instruments report what came since the last collection, instead of everything.
    package enum Temporality: String, Sendable, CaseIterable {
        case cumulative
        /// Counters, histograms and gauges; the sums of up-down counters stay cumulative.
        case delta
        /// Counters and histograms.
        case lowMemory = "low_memory"
    }

    package var temporality: Temporality
    /// Time between two collections, nanoseconds of log time.
    package var exportInterval: UInt64
    /// Instruments of a tenant.
    package var maximumInstruments: Int
    /// Attribute sets of an instrument, without the empty one; measurements beyond go to the overflow series.
    package var cardinalityLimit: Int
    /// Series of all tenants together; beyond it new attribute sets go to the overflow series too.
    package var maximumSeries = 262_144
    /// Beyond it the metrics of the tenant that was silent for the longest time are collected and forgotten.
    package var maximumTenants = 256
    /// Whose answer counts for sums that leave 64 bits and for the attribute sets of delta series.
    package var compatibility: Compatibility

    package init(
        temporality: Temporality = .cumulative, exportInterval: UInt64 = 60_000_000_000, maximumInstruments: Int = 256,
        cardinalityLimit: Int = 2000, compatibility: Compatibility = .skein
    ) {
        self.temporality = temporality
        self.exportInterval = exportInterval
        self.maximumInstruments = maximumInstruments
        self.cardinalityLimit = cardinalityLimit
        self.compatibility = compatibility
    }

    /// Whether the series of such an instrument begin anew with every collection.
    func isDelta(_ kind: MetricDescriptor.Kind) -> Bool {
        switch (temporality, kind) {
        case (.cumulative, _), (_, .upDownCounter), (.lowMemory, .gauge): false
        case (.delta, .counter), (.delta, .histogram), (.delta, .gauge), (.lowMemory, .counter),
            (.lowMemory, .histogram):
            true
        }
    }
}

/// What a metric projector turned away, by reason.
package struct MetricCounters: Sendable, Hashable {
    /// Marks that are no valid measurements.
    package internal(set) var invalidMarks: UInt64 = 0
    /// Marks that describe an instrument otherwise than an earlier one did.
    package internal(set) var descriptorConflicts: UInt64 = 0
    /// Marks that would have made too many instruments.
    package internal(set) var instrumentLimit: UInt64 = 0
    /// Measurements that went to an overflow series.
    package internal(set) var overflowed: UInt64 = 0
    /// Tenants whose metrics were forgotten because there were too many.
    package internal(set) var forgottenTenants: UInt64 = 0

    package init() {}
}
