package import ATOF
internal import LLMCodecs
internal import Middleware
internal import OTLP
internal import Projections
internal import Stages
internal import Trajectories

/// What events become, without a bus: runs the machines of the live stages over the events of a file.
package struct OfflineProjection {
    package enum Output: String, Sendable, CaseIterable {
        case atof, processed, atif, trajectories, full
        case genAI = "gen_ai"
        case openinference, logs, metrics
    }

    /// Whose events they are when nobody says it.
    package static let tenant = "offline"

    private let output: Output
    private let configuration: CollectorConfiguration
    private let sessionID: String?
    private let tenant: String
    private var endpoint = CollectorConfiguration.Endpoint(
        name: "offline", url: "", projection: ProjectionConfiguration(projection: .full),
        resource: ResourceConfiguration())
    private var number: UInt64 = 0
    /// What goes into the projection: for a span whose end came first, and for the manual exporter.
    private var processed: [Event] = []
    private var lines: [[UInt8]] = []
    /// The finished spans, encoded, in the order in which they ended.
    package private(set) var spans: [[UInt8]] = []
    private var process: ProcessMachine
    /// Of the strict mode, where nothing but the policy comes before a projection: the reference leaves no repeated event out.
    private var policy: OfflinePolicy?
    private var projector: SpanProjector?
    private var assembler: TrajectoryAssembler?
    private var documents: [JSONValue] = []
    private var unfinished: UInt64 = 0
    private var nameless: UInt64 = 0
    private var repeated: UInt64 = 0
    /// What `process` says of its dead letters.
    private var refusals: [String] = []
    private var logs: OfflineLogs?
    private var metrics: OfflineMetrics?

    /// - Parameter tenant: whose events they are, for rules that hold for some tenants only.
    /// - Throws: `CollectorError` for a mark projection that is none, `ConfigurationError` for a policy that no collector would follow.
    package init(
        _ output: Output, configuration: CollectorConfiguration, sessionID: String?, markProjection: String?,
        tenant: String = OfflineProjection.tenant
    ) throws {
        try configuration.checkActivation()
        self.output = output
        self.configuration = configuration
        self.sessionID = sessionID
        self.tenant = tenant
        // A projection has the prices itself.
        let chain = try configuration.makeChain(prices: output == .processed)
        process = ProcessMachine(partitioning: Partitioning(count: 1), policy: chain)
        policy = configuration.compatibility == .strict ? OfflinePolicy(chain, tenant: tenant) : nil
        switch output {
        case .full, .genAI, .openinference:
            let kind = ProjectionConfiguration.Projection(rawValue: output.rawValue) ?? .full
            if let configured = configuration.endpoints.first(where: { $0.projection.projection == kind }) {
                endpoint = configured
            }
            endpoint.projection.projection = kind
            endpoint.projection.compatibility = configuration.compatibility
            endpoint.projection.pricing = configuration.pricing
            if let markProjection {
                guard let mark = ProjectionConfiguration.MarkProjection(rawValue: markProjection) else {
                    throw CollectorError("--mark-projection is \"\(markProjection)\", must be inherit, event or tool")
                }
                endpoint.projection.markProjection = mark
            }
            projector = SpanProjector(configuration: endpoint.projection)
        case .trajectories:
            assembler = TrajectoryAssembler(configuration: OfflineProjection.assembling(configuration))
        case .logs: logs = OfflineLogs(configuration.logEndpoints.first, configuration.compatibility)
        case .metrics: metrics = OfflineMetrics(configuration.metricEndpoints.first, configuration.compatibility)
        case .atof, .processed, .atif: break
        }
    }

    /// - Throws: `EventError` for a line that is no event.
    package mutating func add(line: [UInt8]) throws(EventError) {
        var writer = EventBatchWriter()
        writer.append(packed: try EventJSONDecoder.decode(line).packed())
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        number += 1
        switch output {
        case .atof: lines.append(EventJSONEncoder.line(event))
        case .processed: lines += events(process.receive(message(writer.bytes))).map(EventJSONEncoder.line)
        case .atif, .trajectories, .full, .genAI, .openinference, .logs, .metrics:
            guard policy != nil else { return events(process.receive(message(writer.bytes))).forEach { project($0) } }
            if let governed = policy?.apply(event) { project(governed) }
        }
    }

    private mutating func project(_ event: Event) {
        processed.append(event)
        let reference = EventReference(sequence: UInt64(processed.count), index: 0)
        switch output {
        case .atof, .processed, .atif: break
        case .trajectories: append(assembler?.receive(event, at: reference) ?? [])
        case .full, .genAI, .openinference:
            var output = ProjectionOutput()
            projector?.receive(event, at: reference, of: "", into: &output) { processed.packed(at: $0) }
            spans += output.spans.map { SpanEncoder.encode($0.span) }
        case .logs: logs?.add(event)
        case .metrics: metrics?.add(event)
        }
    }

    /// The end of the file is the end of every trajectory, so that nothing comes too late. The reference drops what comes after
    /// its parent's end, and has no limits.
    private static func assembling(_ configuration: CollectorConfiguration) -> TrajectoryAssembler.Configuration {
        guard configuration.compatibility == .strict else {
            var assembling = TrajectoryAssembler.Configuration(order: .tolerant)
            assembling.linger = .max
            assembling.parentWait = .max
            assembling.maximumEvents = configuration.runs.maximumEvents
            assembling.maximumBytes = configuration.runs.maximumBytes
            return assembling
        }
        var assembling = TrajectoryAssembler.Configuration(order: .reference)
        assembling.compatibility = .strict
        assembling.maximumEvents = .max
        assembling.maximumOpenEvents = .max
        assembling.maximumOpen = .max
        return assembling
    }

    /// What a producer would publish for the event.
    private func message(_ payload: [UInt8]) -> StageMessage {
        StageMessage(
            subject: "skein.v1.events.0.\(tenant).file", sequence: number, timeNanoseconds: number,
            contentType: nil, payload: payload)
    }

    /// The events that pass `process`; what repeats is left out.
    private mutating func events(_ outcome: ProcessMachine.Outcome) -> [Event] {
        repeated += UInt64(outcome.counts.duplicates)
        refusals += outcome.deadLetters.map(\.message)
        return outcome.pieces.flatMap { piece -> [Event] in
            guard let batch = try? EventBatch(unpacking: piece.frames.bytes) else { return [] }
            return (0..<batch.count).compactMap { try? batch.event(at: $0) }
        }
    }

    private mutating func append(_ finished: [FinishedTrajectory]) {
        let output = configuration.trajectories ?? .init()
        let isStrict = configuration.compatibility == .strict
        for trajectory in finished {
            let isFinished = trajectory.state.isComplete
            if !isFinished { unfinished += 1 }
            let hasPrices = !isStrict || isFinished || !configuration.isPricingBehindObservability
            let built = trajectory.document(
                by: output.agent, configuration.compatibility,
                pricing: hasPrices ? configuration.pricing : PricingSources(),
                of: trajectory.members.map { $0.packed ?? processed.packed(at: $0.reference) })
            let document = built.document
            if isStrict {
                // The reference writes files: none without a name, and a later one over an earlier one.
                let template = try? FileNameTemplate(output.fileNameTemplate)
                let name = try? template?.render(
                    sessionID: trajectory.id.description, tenant: trajectory.tenant, metadata: built.openerMetadata)
                guard name != nil else {
                    nameless += 1
                    continue
                }
                let id = document["trajectory_id"]
                documents.removeAll { $0["trajectory_id"] == id }
            }
            documents.append(document)
        }
    }

    /// What the result lacks, or does not have as the producer wanted: a sentence for each. What the policy drops is what it is for.
    package var warnings: [String] {
        let counters = projector?.counters ?? ProjectionCounters()
        let assembled = assembler?.counts ?? AssemblerCounts()
        let counts: [(UInt64, String)] = [
            (repeated + assembled.duplicate, "events repeat others and were left out"),
            (
                assembled.unowned + UInt64(assembler?.orphanCount ?? 0),
                "events are below no agent and in no trajectory"
            ),
            (
                assembled.endedParent + assembled.late,
                "events came after the end of what they are below and were left out"
            ),
            (
                assembled.overLimit + assembled.orphanLimit,
                "events are beyond the limit of their trajectory and were left out"
            ),
            (nameless, "trajectories have no file name and were left out"),
            (unfinished, "trajectories are unfinished: the scopes that opened them did not end"),
            (
                UInt64(projector?.openSpanCount ?? 0),
                "scopes did not end and are not shown; live they are exported as abandoned once their run is idle"
            ),
            (
                counters.unmatchedEnds + UInt64(projector?.earlyEndCount ?? 0),
                "ends are of scopes that are not open and are not shown"
            ),
            (counters.duplicateStarts, "starts are of scopes that are open already"),
            (counters.droppedSpanEvents, "marks are beyond the 128 of their span and are not shown"),
        ]
        let diagnostics = [projector?.diagnostics, logs?.diagnostics, metrics?.diagnostics].compactMap(\.self)
        return refusals + counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
            + diagnostics.flatMap { $0.entries.sorted { $0.key < $1.key } }.map { code, entry in
                "\(entry.messages.joined(separator: "; ")) [\(code)\(entry.count > 1 ? ", \(entry.count) times" : "")]"
            }
    }

    /// The lines of the result: one JSON text, or one line an event.
    ///
    /// - Throws: `CollectorError` when what was encoded cannot be read back.
    package mutating func finish() throws -> [[UInt8]] {
        switch output {
        case .atof, .processed: return lines
        case .atif:
            let output = configuration.trajectories ?? .init()
            let builder = TrajectoryBuilder(
                origin: .manual(sessionID: sessionID ?? "session"), agent: output.agent,
                compatibility: configuration.compatibility, pricing: configuration.pricing)
            let document = builder.document(of: processed)
            return [Array(document.compactText.utf8)]
        case .trajectories:
            append(assembler?.finish() ?? [])
            return [Array(JSONValue.array(documents).compactText.utf8)]
        case .full, .genAI, .openinference:
            if spans.isEmpty { return [Array("[]".utf8)] }
            guard
                let request = OTLPJSON.exportTraceServiceRequest(
                    spans: spans, resource: ResourceEncoder.resource(endpoint.resource, version: SkeinVersion.current),
                    scope: ResourceEncoder.scope(endpoint.resource))
            else { throw OfflineProjection.unreadable }
            return [Array(request.compactText.utf8)]
        case .logs, .metrics:
            guard let requests = logs?.requests() ?? metrics?.requests() else { throw OfflineProjection.unreadable }
            return [Array(requests.compactText.utf8)]
        }
    }

    private static let unreadable = CollectorError(
        "the encoded request cannot be read back: please report this with the file")
}

extension [Event] {
    /// What a collector reads from its stream again; references count from 1.
    fileprivate func packed(at reference: EventReference) -> [UInt8] {
        self[Int(reference.sequence) - 1].packed.array
    }
}
