/// What a metric projector made of events: collections, and what became of the events that are in none.
package struct MetricOutput: Sendable {
    /// Events of a run that are in the measurements of a metric.
    package struct Share: Sendable, Hashable {
        package let run: ScopeKey
        package let events: Int
    }

    /// An instrument of a tenant, as it was collected.
    package struct Metric: Sendable {
        package let metric: ProjectedMetric
        package let tenant: String
        /// What was measured since the collection before.
        package let shares: [Share]
    }

    package internal(set) var metrics: [Metric] = []
    /// The events that came in, and those that are in no metric.
    package internal(set) var events = ProjectionOutput()

    package init() {}
}
