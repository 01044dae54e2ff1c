import ATOF
import AgentKit
import Synchronization

/// Keeps what is published.
final class RecordingOutput: EventOutput {
    private let published = Mutex<[(event: [UInt8], key: EventUUID)]>([])

    func append(_ event: [UInt8], key: EventUUID) { published.withLock { $0.append((event, key)) } }

    var count: Int { published.withLock { $0.count } }
    var keys: [EventUUID] { published.withLock { $0.map(\.key) } }

    /// Unpacked as a collector does it.
    var events: [Event] {
        get throws {
            var writer = EventBatchWriter()
            for entry in published.withLock({ $0 }) { writer.append(packed: entry.event) }
            let batch = try EventBatch(unpacking: writer.bytes)
            return try (0..<batch.count).map { try batch.event(at: $0) }
        }
    }

    /// As canonical ATOF JSON.
    var values: [JSONValue] { get throws { try events.map { EventJSONEncoder.value(of: $0) } } }
}

extension AgentClock {
    /// A clock that goes on by a millisecond whenever it is read, and identifiers in order.
    static func manual() -> AgentClock {
        let state = Mutex<(ticks: Int64, identifiers: UInt64)>((0, 0))
        return AgentClock(
            now: {
                EventTime(
                    epochMicroseconds: 1_767_225_600_000_000
                        + state.withLock {
                            $0.ticks += 1
                            return $0.ticks
                        } * 1000)
            },
            elapsed: { 0 },
            makeUUID: { _ in
                EventUUID(
                    high: 0x019b_7b24_0000_7000,
                    low: 0x8000_0000_0000_0000
                        + state.withLock {
                            $0.identifiers += 1
                            return $0.identifiers
                        })
            })
    }
}

/// A runtime whose events are kept.
struct Recorder {
    let output = RecordingOutput()
    let runtime: AgentRuntime

    init(settings: AgentSettings = AgentSettings()) {
        runtime = AgentRuntime(output: output, settings: settings, clock: .manual())
    }

    /// One line for each event: `start tool search`, for tests that are about order.
    var outline: [String] {
        get throws {
            try output.events.map { event in
                let word =
                    switch event.kind {
                    case .scopeStart: "start"
                    case .scopeEnd: "end"
                    case .mark: "mark"
                    }
                return "\(word) \(event.category.map { $0.raw + " " } ?? "")\(event.name)"
            }
        }
    }

    /// The payloads of the first event of a kind and name.
    func event(_ kind: Event.Kind, _ name: String) throws -> Event? {
        try output.events.first { $0.kind == kind && $0.name == name }
    }
}

/// An error that says what Python's does, for scenarios that were recorded with Python.
struct ValueError: Error, CustomStringConvertible { let description: String }
struct KeyError: Error, CustomStringConvertible { let description: String }
struct RuntimeError: Error, CustomStringConvertible { let description: String }
