import ATOF
import NATSTransport
import Stages

/// Generated runs of agents: an agent scope around tool and LLM calls.
struct Run: Sendable {
    let number: Int
    let tenant: String
    /// Calls below the agent; each is two events.
    let calls: Int
    var agent = "agent-0"

    var id: EventUUID { Run.uuid(run: number, scope: 0) }
    var eventCount: Int { 2 + 2 * calls }
    var spanCount: Int { 1 + calls }

    static func uuid(run: Int, scope: Int) -> EventUUID {
        EventUUID(high: 0x0190_0000_0000_7000 | UInt64(run) << 16, low: 0x8000_0000_0000_0000 | UInt64(scope))
    }

    /// The events as ATOF JSON lines, in order.
    var lines: [String] {
        var lines = [line(0, "start")]
        for call in 1..<(calls + 1) { lines += [line(call, "start"), line(call, "end")] }
        return lines + [line(0, "end")]
    }

    private func line(_ scope: Int, _ phase: String) -> String {
        let category = scope == 0 ? "agent" : scope % 3 == 0 ? "llm" : "tool"
        let seconds = scope % 60
        return AtofLine(
            phase: phase, uuid: Run.uuid(run: number, scope: scope).description,
            parent: scope == 0 ? nil : id.description,
            name: scope == 0 ? agent : "\(category)-\(scope)", category: category,
            timestamp: "\"2026-03-02T09:14:\(seconds < 10 ? "0" : "")\(seconds).\(phase == "start" ? 1 : 2)Z\"",
            data: "{\"run\":\(number),\"scope\":\(scope),\"phase\":\"\(phase)\"}"
        ).text
    }

    /// The run's messages with so many events each.
    func messages(of size: Int) throws -> [OutgoingMessage] {
        let lines = lines
        return try stride(from: 0, to: lines.count, by: size).map { start in
            OutgoingMessage(
                id: "\(tenant)/\(number)/\(start)", subject: SkeinSubjects.events(tenant: tenant, key: id.description),
                payload: try packed(lines[start..<min(start + size, lines.count)]))
        }
    }
}

/// One ATOF event as a line; texts are put in as they are.
struct AtofLine {
    var kind = "scope"
    var phase = "start"
    var uuid: String
    var parent: String?
    var name = "name"
    var category = "agent"
    var timestamp = "\"2026-03-02T09:14:07Z\""
    var data = "null"

    var text: String {
        """
        {"atof_version":"0.1","kind":"\(kind)","scope_category":"\(phase)","uuid":"\(uuid)",\
        "parent_uuid":\(parent.map { "\"\($0)\"" } ?? "null"),"name":"\(name)","category":"\(category)",\
        "timestamp":\(timestamp),"data":\(data),"attributes":[]}
        """
    }
}

/// A batch of the lines' events.
func packed(_ lines: some Sequence<String>) throws -> [UInt8] {
    var writer = EventBatchWriter()
    for line in lines { writer.append(packed: try EventJSONDecoder.decode(Array(line.utf8)).packed()) }
    return writer.bytes
}

/// Which event it is: its scope and phase, or the mark.
struct EventKey: Hashable {
    let kind: Event.Kind
    let uuid: EventUUID
}

extension Rig {
    /// How often each event is in PROCESSED.
    func processedEvents() async throws -> [EventKey: Int] {
        var counts: [EventKey: Int] = [:]
        for message in try await contents(of: SkeinSubjects.processedStream) {
            let batch = try EventBatch(unpacking: message.payload)
            for index in 0..<batch.count {
                let event = try batch.event(at: index)
                counts[EventKey(kind: event.kind, uuid: event.uuid), default: 0] += 1
            }
        }
        return counts
    }

    func messages(in stream: String) async throws -> UInt64 { try await jetStream.streamInfo(stream).messages }
}
