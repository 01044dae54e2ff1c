internal import Foundation
package import Logging
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
    private let patience: Duration
    private let logger: Logger?

    /// - Parameter patience: how long a broker may say that it cannot now: a cluster that forms has no leader yet, or too few nodes.
    package init(
        _ jetStream: JetStream, _ streams: CollectorConfiguration.Streams, patience: Duration = .seconds(60),
        logger: Logger? = nil
    ) {
        self.jetStream = jetStream
        self.streams = streams
        self.patience = patience
        self.logger = logger
    }

    /// Any number of collectors may do this at once: what one of them has created, the others take as it is.
    ///
    /// - Throws: `CollectorError` for a stream of another shape, which names the difference; `NATSError` of the server.
    package func prepare() async throws -> Result {
        let deadline = ContinuousClock.now + patience
        var created: [String] = []
        var logged: NATSError.Code?
        while true {
            do {
                return try await attempt(&created)
            } catch let error as NATSError {
                guard StreamProvisioner.mayPass(error), ContinuousClock.now < deadline else { throw error }
                if error.code != .nameTaken, logged != error.code {
                    logged = error.code
                    logger?.warning(
                        "the streams cannot be prepared yet, the next try follows", metadata: ["error": "\(error)"])
                }
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// Whether the next attempt may go well: also when somebody else was faster. A server or account without JetStream gets none by
    /// waiting.
    private static func mayPass(_ error: NATSError) -> Bool {
        switch error.code {
        case .noResponders, .api(code: _, errCode: 10039): false
        case .nameTaken: true
        default: error.isTemporary
        }
    }

    private func attempt(_ created: inout [String]) async throws -> Result {
        try await checkServer()
        let existingPartitions = try await existingPartitions()
        let partitions = existingPartitions ?? streams.partitions
        for wanted in StreamLayout(streams, partitions: partitions).all {
            let found: StreamInfo
            if let existing = try await info(wanted.name) {
                if wanted.name == SkeinSubjects.eventsStream, existingPartitions == nil {
                    throw NATSError(
                        .nameTaken, "The stream \(wanted.name) was created by somebody else meanwhile; try again.")
                }
                found = existing
            } else {
                found = try await create(wanted)
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

    /// A stream reserves its size when it is created. A broker on its own that has not so much never will.
    private func create(_ wanted: StreamConfiguration) async throws -> StreamInfo {
        do throws(NATSError) {
            return try await jetStream.createStream(wanted)
        } catch {
            guard error.code == .streamFull, streams.replicas == 1 else { throw error }
            let key = wanted.name == SkeinSubjects.processedStream ? "processed_max_bytes" : "events_max_bytes"
            throw ConfigurationError(diagnostics: [
                Diagnostic(
                    .error, "configuration.unsupported_value", field: "collector.\(key)",
                    "the broker has no room for the \(wanted.maxBytes ?? 0) bytes of \(wanted.name); lower it, or raise max_file_store of the "
                        + "broker or the limits of its account")
            ])
        }
    }

    /// Older servers ignore the subject transform that gives EVENTS its partitions.
    private func checkServer() async throws {
        let version = try await jetStream.connection.serverVersion()
        let isOld: Bool
        if let version {
            isOld = StreamProvisioner.isTooOld(version)
        } else {
            // Servers before 2.10 do not tell, nor do newer ones where an account may not ask. What exists was checked when it was
            // created; before that a stream of no importance shows it.
            let exists = try await info(SkeinSubjects.eventsStream) != nil
            isOld = exists ? false : try await ignoresTransforms()
        }
        if isOld {
            throw CollectorError(
                "nats-server at \(jetStream.connection.redactedURLs) is \(version ?? "older than 2.10"); Skein needs 2.10 or newer for "
                    + "partitions, upgrade it")
        }
    }

    /// Whether a server of this version lacks subject transforms; false for a version that is written in another way.
    static func isTooOld(_ version: String) -> Bool {
        let numbers = version.drop { $0 == "v" }.split(separator: ".").prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0], numbers[1]) < (2, 10)
    }

    private func ignoresTransforms() async throws -> Bool {
        let name = "SKEIN_PROBE_\(UUID().uuidString)"
        var probe = StreamConfiguration(name: name, subjects: ["skein.probe.\(name).*"])
        probe.storage = .memory
        probe.subjectTransform = .init(source: probe.subjects[0], destination: "skein.probe.\(name).0.{{wildcard(1)}}")
        let found = try await jetStream.createStream(probe)
        try await jetStream.deleteStream(name)
        return found.configuration.subjectTransform == nil
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
