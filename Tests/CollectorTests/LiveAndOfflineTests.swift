import ATOF
import CProtobufC
import CSkeinProto
import Collector
import Foundation
import HTTPTestServer
import OTLP
import Projections
import Stages
import Testing

@Suite("Live export and offline projection", .timeLimit(.minutes(1)))
struct LiveAndOfflineTests {
    /// The recorded cases that a target's tests keep.
    private static func cases(of target: String = "ProjectionsTests") throws -> [(name: String, lines: [[UInt8]])] {
        let folder = folder(of: target)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().compactMap { name in
            let file = folder.appendingPathComponent("\(name)/events.jsonl")
            return FileManager.default.fileExists(atPath: file.path) ? (name, try lines(name, of: target)) : nil
        }
    }

    private static func folder(of target: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("\(target)/Cases")
    }

    private static func lines(_ name: String, of target: String = "ProjectionsTests") throws -> [[UInt8]] {
        let folder = folder(of: target)
        let file = folder.appendingPathComponent("\(name)/events.jsonl")
        return Array(try Data(contentsOf: file)).split(separator: UInt8(ascii: "\n")).map { Array($0) }
    }

    @Test("show what process lets through, once")
    func processed() throws {
        let lines = try Self.lines("03-nested-agents")
        var atof = try OfflineProjection(.atof, configuration: .init(), sessionID: nil, markProjection: nil)
        var processed = try OfflineProjection(.processed, configuration: .init(), sessionID: nil, markProjection: nil)
        for line in lines {
            try atof.add(line: line)
            for _ in 0..<2 { try processed.add(line: line) }
        }
        #expect(try processed.finish() == atof.finish())
    }

    @Test("give the same for the same events, spans, logs and metrics", arguments: Compatibility.allCases)
    func same(_ compatibility: Compatibility) async throws {
        let cases = try Self.cases()
        #expect(cases.count >= 20)
        let projections = ProjectionConfiguration.Projection.allCases
        let sinks = projections.map { _ in SpanSink() }
        let signals = SignalSink()
        defer {
            for sink in sinks { sink.server.stop() }
            signals.server.stop()
        }
        try await Rig.with { rig in
            let configuration = try Self.configuration(
                rig, compatibility, traces: Array(zip(projections, sinks)), signals)
            var isOnce = true
            try await rig.collecting(configuration) { collector in
                // Cases have ids in common, so each is of another tenant.
                try await rig.publish(
                    cases.map {
                        OutgoingMessage(
                            subject: SkeinSubjects.events(tenant: Self.tenant($0.name), key: "run"),
                            contentType: SkeinHeaders.jsonLines, payload: Array($0.lines.joined(separator: [10])))
                    })
                try await rig.catchUp(collector)
                // On a machine that is too busy for its leases a task begins again, and sends again what was sent: that much is promised.
                isOnce = [
                    "skein_lease_lapses_total", "skein_task_restarts_total", "skein_task_fenced_total",
                    "skein_export_retries_total",
                ].allSatisfy { collector.metrics.total($0) == 0 }
            }
            for (projection, sink) in zip(projections, sinks) {
                let output = try #require(OfflineProjection.Output(rawValue: projection.rawValue))
                let expected = try cases.flatMap { item in
                    try Self.offline(output, item, configuration).spans.map(Self.repacked)
                }
                #expect(expected.count > 80 && sink.changed == 0)
                #expect(counted(sink.received, isOnce) == counted(expected, isOnce), "\(projection)")
            }
            try Self.check(cases, configuration, signals, isOnce)
        }
    }

    /// The last revision of each: a live task may have told of a trajectory before a late event came, while a file's end closes all of
    /// them. By design only a live document has `extra.skein`, which says what a collector knows about it: revision, state, counts. In the
    /// strict mode a file's events keep the order of the reference, which drops what a stream may bring in any order; so the cases of that
    /// are those in which nothing comes late.
    @Test("give the same trajectories for the same events", arguments: Compatibility.allCases)
    func trajectories(_ compatibility: Compatibility) async throws {
        var cases: [String: [[UInt8]]] = [:]
        for target in ["ProjectionsTests", "TrajectoriesTests"] {
            for item in try Self.cases(of: target) { cases[item.name] = item.lines }
        }
        if compatibility == .strict {
            for name in Self.casesWithLateEvents { #expect(cases.removeValue(forKey: name) != nil) }
        }
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.compatibility = compatibility
            try await rig.collecting(configuration) { collector in
                try await rig.publish(
                    cases.map {
                        OutgoingMessage(
                            subject: SkeinSubjects.events(tenant: Self.tenant($0.key), key: "run"),
                            contentType: SkeinHeaders.jsonLines, payload: Array($0.value.joined(separator: [10])))
                    })
                try await rig.catchUp(collector)
            }
            let live = Dictionary(grouping: try await TrajectoryReader(rig.jetStream).all(), by: \.tenant)
            var compared = 0
            for (name, lines) in cases.sorted(by: { $0.key < $1.key }) {
                let expected = try Self.json(.trajectories, (name, lines), configuration).arrayValue ?? []
                let found = try (live[Self.tenant(name)] ?? []).map { trajectory in
                    var document = try #require(trajectory.document.objectValue)
                    var extra = try #require(document["extra"]?.objectValue)
                    #expect(extra["skein"]?["state"] == .string("complete"))
                    extra["skein"] = nil
                    document["extra"] = .object(extra)
                    return JSONValue.object(document)
                }
                func texts(_ documents: [JSONValue]) -> [String] { documents.map(\.compactText).sorted() }
                #expect(texts(found) == texts(expected), "\(name)")
                compared += expected.count
            }
            #expect(compared > 20)
        }
    }

    /// Marks that come after the end of their parent.
    private static let casesWithLateEvents = ["33-orphan-marks"]

    private static func tenant(_ name: String) -> String { "case-\(name)" }

    /// - Returns: what has taken the events of a case in.
    private static func offline(
        _ output: OfflineProjection.Output, _ item: (name: String, lines: [[UInt8]]),
        _ configuration: CollectorConfiguration
    ) throws -> OfflineProjection {
        var offline = try OfflineProjection(
            output, configuration: configuration, sessionID: nil, markProjection: nil, tenant: tenant(item.name))
        for line in item.lines { try offline.add(line: line) }
        return offline
    }

    private static func json(
        _ output: OfflineProjection.Output, _ item: (name: String, lines: [[UInt8]]),
        _ configuration: CollectorConfiguration
    ) throws -> JSONValue {
        var offline = try offline(output, item, configuration)
        let lines = try offline.finish()
        return try JSONParser.parse(try #require(lines.first))
    }

    /// Log records and metrics, except for the times that are the stream's and not the events'.
    private static func check(
        _ cases: [(name: String, lines: [[UInt8]])], _ configuration: CollectorConfiguration, _ sink: SignalSink,
        _ isOnce: Bool
    ) throws {
        let resource = ResourceEncoder.resource(ResourceConfiguration(), version: "")
        let scope = ResourceEncoder.scope(ResourceConfiguration())
        let records = OTLPJSON.exportLogsServiceRequest(
            records: sink.records.map(\.bytes), resource: resource, scope: scope)
        let metrics = OTLPJSON.exportMetricsServiceRequest(metrics: sink.metrics, resource: resource, scope: scope)
        for (output, live, names, times) in [
            (
                OfflineProjection.Output.logs, records, ("resourceLogs", "scopeLogs", "logRecords"),
                ["observedTimeUnixNano"]
            ),
            (.metrics, metrics, ("resourceMetrics", "scopeMetrics", "metrics"), ["startTimeUnixNano", "timeUnixNano"]),
        ] {
            func items(_ requests: JSONValue?) -> [JSONValue] {
                let resources = requests?[names.0]?.arrayValue ?? []
                return resources.flatMap { $0[names.1]?.arrayValue ?? [] }.flatMap { $0[names.2]?.arrayValue ?? [] }
                    .map { without(times, $0) }
            }
            let expected = try cases.flatMap { items(try json(output, $0, configuration)) }
            #expect(expected.count > 5, "\(output)")
            #expect(counted(items(live), isOnce) == counted(expected, isOnce), "\(output)")
        }
    }

    private static func without(_ keys: [String], _ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let object):
            .object(
                JSONObject(
                    object.filter { !keys.contains($0.key) }.map { ($0.key, without(keys, $0.value)) }))
        case .array(let elements): .array(elements.map { without(keys, $0) })
        case .null, .bool, .int, .unsigned, .double, .string: value
        }
    }

    /// With everything that an endpoint takes. One partition, so that a case's metrics are one series.
    private static func configuration(
        _ rig: Rig, _ compatibility: Compatibility,
        traces: [(ProjectionConfiguration.Projection, SpanSink)], _ signals: SignalSink
    ) throws -> CollectorConfiguration {
        var configuration = try rig.configuration()
        configuration.compatibility = compatibility
        configuration.trajectories = nil
        configuration.streams.partitions = 1
        for (projection, sink) in traces {
            try configuration.addTraceEndpoint(url: sink.url, option: projection.rawValue)
            let last = configuration.endpoints.count - 1
            configuration.endpoints[last].name = projection.rawValue
            configuration.endpoints[last].projection.projection = projection
            configuration.endpoints[last].projection.promoteMetadataPrefixes = ["session_id"]
            configuration.endpoints[last].scheduledDelay = .milliseconds(20)
            // A busy machine is no reason to send anything again.
            configuration.endpoints[last].timeout = .seconds(30)
        }
        try signals.addEndpoints(to: &configuration)
        return configuration
    }

    /// The sink packs anew what it unpacked.
    private static func repacked(_ span: [UInt8]) throws -> [UInt8] {
        let unpacked = try #require(skein__v1__otlp__span__unpack(nil, span.count, span))
        defer { skein__v1__otlp__span__free_unpacked(unpacked, nil) }
        var packed = [UInt8](repeating: 0, count: skein__v1__otlp__span__get_packed_size(unpacked))
        skein__v1__otlp__span__pack(unpacked, &packed)
        return packed
    }
}

/// How often each is there; or, where some may have come again, that it is.
private func counted<Element: Hashable>(_ elements: [Element], _ isOnce: Bool) -> [Element: Int] {
    Dictionary(elements.map { ($0, 1) }, uniquingKeysWith: isOnce ? (+) : max)
}
