package import NATSTransport
internal import Stages

/// Something outside of this process that must be mended before a collector can work: one sentence, with what to do.
package struct CollectorError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Creates the streams and the bucket that are missing, and checks the shape of those that are there. Nothing that exists is changed.
package struct StreamProvisioner: Sendable {
    package struct Result: Sendable {
        /// Names of what was created now.
        package let created: [String]
        package let partitions: Int
        package let state: KeyValueBucket
    }

    private let jetStream: JetStream
    private let streams: CollectorConfiguration.Streams

    package init(_ jetStream: JetStream, _ streams: CollectorConfiguration.Streams) {
        self.jetStream = jetStream
        self.streams = streams
    }

    /// - Throws: `CollectorError` for a stream of another shape, which names the difference; `NATSError` of the server.
    package func prepare() async throws -> Result {
        try await checkServer()
        let partitions = try await existingPartitions() ?? streams.partitions
        var created: [String] = []
        for wanted in StreamLayout(streams, partitions: partitions).all {
            let found: StreamInfo
            if let existing = try await info(wanted.name) {
                found = existing
            } else {
                found = try await jetStream.createStream(wanted)
                created.append(wanted.name)
            }
            try check(wanted, found.configuration)
        }
        let bucketExisted = try await info("KV_\(SkeinSubjects.stateBucket)") != nil
        let state = try await KeyValueBucket.open(
            jetStream, name: SkeinSubjects.stateBucket, replicas: streams.replicas)
        if !bucketExisted { created.append(SkeinSubjects.stateBucket) }
        return Result(created: created, partitions: partitions, state: state)
    }

    /// Older servers ignore the subject transform that gives EVENTS its partitions.
    private func checkServer() async throws {
        guard let version = try await jetStream.connection.serverVersion() else { return }
        let numbers = version.split(separator: ".").prefix(2).compactMap { Int($0) }
        if numbers.count == 2, (numbers[0], numbers[1]) < (2, 10) {
            throw CollectorError(
                "nats-server at \(jetStream.connection.redactedURLs) is \(version); Skein needs 2.10 or newer for partitions, upgrade it"
            )
        }
    }

    private func info(_ name: String) async throws -> StreamInfo? {
        do throws(NATSError) {
            return try await jetStream.streamInfo(name)
        } catch let error where error.code == .notFound {
            return nil
        }
    }

    private func existingPartitions() async throws -> Int? {
        guard let existing = try await info(SkeinSubjects.eventsStream) else { return nil }
        guard let transform = existing.configuration.subjectTransform,
            let count = StreamLayout.partitions(of: transform)
        else {
            throw CollectorError(
                "the stream \(SkeinSubjects.eventsStream) has no subject transform of Skein's; delete it or use another account, "
                    + "and let skein create it on nats-server 2.10 or newer")
        }
        return count
    }

    private func check(_ wanted: StreamConfiguration, _ found: StreamConfiguration) throws {
        // Sizes and ages are an operator's to tune; what the guarantees rest on is not.
        var expected = wanted
        expected.maxBytes = found.maxBytes
        expected.maxAge = found.maxAge
        expected.replicas = found.replicas
        expected.storage = found.storage
        expected.duplicateWindow = found.duplicateWindow
        let differences = expected.differences(from: found)
        guard differences.isEmpty else {
            throw CollectorError(
                "the stream \(wanted.name) is not as skein needs it: \(differences.joined(separator: "; ")); "
                    + "change it with your NATS tools, or delete it and let skein create it (nats-server 2.10 or newer)"
            )
        }
    }
}
