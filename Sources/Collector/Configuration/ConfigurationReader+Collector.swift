internal import ATOF

/// `[collector]`: streams, limits, and when runs are over.
extension ConfigurationReader {
    /// The environment wins over the file.
    private mutating func readCompatibility(_ word: String?, _ key: String, _ section: inout ConfigurationSection) {
        guard let word else { return }
        if let known = Compatibility(rawValue: word) {
            configuration.compatibility = known
        } else {
            section.complain(key, "is \"\(word)\", must be skein or strict")
        }
    }

    mutating func readCollector(_ document: inout ConfigurationSection) {
        let word = Compatibility.word(of: environment)
        readCompatibility(word, "SKEIN_COMPATIBILITY", &document)
        guard var section = document.section("collector") else { return }
        if word == nil {
            readCompatibility(section.string("compatibility"), "compatibility", &section)
        } else {
            _ = section.raw("compatibility")
        }
        if let isShared = section.bool("shared_policy") { configuration.sharesPolicy = isShared }
        if let partitions = section.integer("partitions") {
            if partitions > 256 { section.complain("partitions", "must be at most 256, is \(partitions)") }
            configuration.streams.partitions = Int(min(partitions, 256))
        }
        if let replicas = section.integer("replicas") {
            if ![1, 3, 5].contains(replicas) { section.complain("replicas", "must be 1, 3 or 5, is \(replicas)") }
            configuration.streams.replicas = Int(replicas)
        }
        if let bytes = section.integer("events_max_bytes", minimum: 1 << 20) {
            configuration.streams.eventsMaximumBytes = bytes
        }
        if let bytes = section.integer("processed_max_bytes", minimum: 1 << 20) {
            configuration.streams.processedMaximumBytes = bytes
        }
        if let seconds = section.integer("processed_keep_seconds", minimum: 0) {
            configuration.streams.processedKeep = .seconds(seconds)
        }
        if let hours = section.integer("trajectories_max_age_hours") {
            // A hundred years; the server counts nanoseconds in 64 bits.
            if hours > 876_000 { section.complain("trajectories_max_age_hours", "must be at most 876000, is \(hours)") }
            configuration.streams.trajectoriesMaximumAge = .seconds(min(hours, 876_000) * 3600)
        }
        if let millis = section.integer("checkpoint_interval_millis", minimum: 10) {
            configuration.checkpointInterval = .milliseconds(millis)
        }
        if let bytes = section.integer("prefetch_bytes", minimum: 1 << 20) { configuration.prefetchBytes = Int(bytes) }
        if let bytes = section.integer("max_event_bytes", minimum: 1 << 20) {
            if bytes > 1 << 30 { section.complain("max_event_bytes", "must be at most \(1 << 30), is \(bytes)") }
            configuration.maximumEventBytes = Int(min(bytes, 1 << 30))
        }
        // Publishers let up to half of a minute pass from one chunk to the next: see `ChunkProgress`.
        if let seconds = section.integer("chunk_timeout_seconds", minimum: 60) {
            if seconds > 86_400 { section.complain("chunk_timeout_seconds", "must be at most 86400, is \(seconds)") }
            configuration.chunkTimeout = .seconds(min(seconds, 86_400))
        }
        if let count = section.integer("checkpoint_messages") {
            configuration.checkpointMessages = Int(clamping: count)
        }
        if let millis = section.integer("member_ttl_millis", minimum: 1000) {
            if millis > 600_000 { section.complain("member_ttl_millis", "must be at most 600000, is \(millis)") }
            configuration.memberTimeToLive = .milliseconds(min(millis, 600_000))
        }
        readRuns(&section)
        document.finish(section)
    }

    private mutating func readRuns(_ section: inout ConfigurationSection) {
        let millis: [(String, WritableKeyPath<CollectorConfiguration.Runs, Duration>)] = [
            ("linger_millis", \.linger), ("progress_interval_millis", \.progressInterval),
        ]
        for (key, path) in millis {
            guard let value = section.integer(key, minimum: 0) else { continue }
            if value > 3_600_000 { section.complain(key, "must be at most 3600000, is \(value)") }
            configuration.runs[keyPath: path] = .milliseconds(min(value, 3_600_000))
        }
        let seconds: [(String, WritableKeyPath<CollectorConfiguration.Runs, Duration>)] = [
            ("idle_seconds", \.idle), ("max_age_seconds", \.maximumAge), ("revise_seconds", \.revise),
        ]
        for (key, path) in seconds {
            guard let value = section.integer(key, minimum: key == "revise_seconds" ? 0 : 1) else { continue }
            // A year: times are counted in nanoseconds of 64 bits.
            if value > 31_536_000 { section.complain(key, "must be at most 31536000, is \(value)") }
            configuration.runs[keyPath: path] = .seconds(min(value, 31_536_000))
        }
        let counts: [(String, WritableKeyPath<CollectorConfiguration.Runs, Int>, Int64)] = [
            ("max_open_trajectories", \.maximumOpen, 1_000_000), ("max_trajectory_events", \.maximumEvents, 10_000_000),
            ("max_trajectory_bytes", \.maximumBytes, 1 << 32),
            ("max_trajectory_held_bytes", \.maximumHeldBytes, 1 << 32), ("held_bytes", \.heldBytes, 1 << 36),
        ]
        for (key, path, most) in counts {
            guard let value = section.integer(key, minimum: 1) else { continue }
            if value > most { section.complain(key, "must be at most \(most), is \(value)") }
            configuration.runs[keyPath: path] = Int(min(value, most))
        }
        for (key, value) in [("idle_seconds", configuration.runs.idle), ("revise_seconds", configuration.runs.revise)]
        where value > configuration.streams.processedKeep {
            section.report(
                .warning, "inconsistent", key,
                "is longer than processed_keep_seconds: what waits for it may be gone from PROCESSED by then; keep that as long"
            )
        }
    }
}
