internal import Foundation
package import NATSTransport
internal import Stages

/// The streams and the bucket that Skein needs, and their shapes.
package struct StreamLayout: Sendable {
    package let events: StreamConfiguration
    package let processed: StreamConfiguration
    package let trajectories: StreamConfiguration
    package let dead: StreamConfiguration
    package let alerts: StreamConfiguration

    package var all: [StreamConfiguration] { [events, processed, trajectories, dead, alerts] }

    /// - Parameter partitions: of EVENTS and PROCESSED; of streams that exist, theirs.
    package init(_ streams: CollectorConfiguration.Streams, partitions: Int) {
        // Only what the transform takes: any other subject would be stored where nobody reads.
        var events = StreamConfiguration(name: SkeinSubjects.eventsStream, subjects: [StreamLayout.published])
        events.subjectTransform = StreamLayout.transform(partitions: partitions)
        events.discard = .new
        events.maxBytes = streams.eventsMaximumBytes
        events.replicas = streams.replicas
        events.duplicateWindow = .seconds(120)
        self.events = events

        var processed = StreamConfiguration(name: SkeinSubjects.processedStream, subjects: ["skein.v1.processed.>"])
        processed.discard = .new
        processed.maxBytes = streams.processedMaximumBytes
        processed.replicas = streams.replicas
        self.processed = processed

        var trajectories = StreamConfiguration(
            name: SkeinSubjects.trajectoriesStream, subjects: ["skein.v1.trajectories.>"])
        trajectories.maxMessagesPerSubject = 1
        trajectories.maxAge = streams.trajectoriesMaximumAge
        trajectories.replicas = streams.replicas
        self.trajectories = trajectories

        var dead = StreamConfiguration(name: SkeinSubjects.deadStream, subjects: ["skein.v1.dead.>"])
        dead.maxBytes = streams.eventsMaximumBytes
        dead.replicas = streams.replicas
        dead.duplicateWindow = .seconds(120)
        self.dead = dead

        var alerts = StreamConfiguration(name: SkeinSubjects.alertsStream, subjects: ["skein.v1.alerts.>"])
        alerts.maxBytes = min(streams.eventsMaximumBytes, 64 << 20)
        alerts.maxAge = streams.trajectoriesMaximumAge
        alerts.replicas = streams.replicas
        alerts.duplicateWindow = .seconds(120)
        self.alerts = alerts
    }

    private static let published = "skein.v1.events.*.*"

    /// `skein.v1.events.<tenant>.<key>` is stored as `skein.v1.events.<partition>.<tenant>.<key>`.
    static func transform(partitions: Int) -> StreamConfiguration.SubjectTransform {
        .init(
            source: published,
            destination: "skein.v1.events.{{partition(\(partitions),1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}")
    }

    /// The number of partitions that a transform computes; nil for a transform that is not ours.
    static func partitions(of transform: StreamConfiguration.SubjectTransform) -> Int? {
        guard let start = transform.destination.range(of: "partition("),
            let comma = transform.destination[start.upperBound...].firstIndex(of: ","),
            let count = Int(transform.destination[start.upperBound..<comma]), count > 0,
            transform == StreamLayout.transform(partitions: count)
        else { return nil }
        return count
    }
}
