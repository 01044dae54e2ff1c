import ATOF
import AgentKit
import Foundation
import Testing

/// Events that the reference recorded, and what AgentKit published, in a form in which they can be compared: identifiers are numbered by
/// their first appearance, times are left out.
enum RecordedSequence {
    static func events(_ name: String) throws -> [JSONValue] {
        let url = try #require(Bundle.module.url(forResource: name, withExtension: "jsonl", subdirectory: "Recorded"))
        let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
        return try lines.map { line in
            // Through our own decoder, as every other event: absent and null are the same.
            let fields = try EventJSONDecoder.decode(Array(line.utf8))
            var writer = EventBatchWriter()
            writer.append(packed: fields.packed())
            return EventJSONEncoder.value(of: try EventBatch(unpacking: writer.bytes).event(at: 0))
        }
    }

    /// - Parameter leavingOut: members of events that are not compared.
    static func comparable(_ events: [JSONValue], leavingOut: Set<String> = []) -> [JSONValue] {
        var numbers: [String: Int] = [:]
        func number(_ value: JSONValue) -> JSONValue {
            switch value {
            case .string(let text) where text.utf8.count == 36 && EventUUID(text) != nil:
                let number = numbers[text] ?? numbers.count
                numbers[text] = number
                return .string("#\(number)")
            case .array(let elements): return .array(elements.map(number))
            case .object(let object):
                return .object(JSONObject(object.map { ($0.key, number($0.value)) }))
            case .null, .bool, .int, .unsigned, .double, .string: return value
            }
        }
        return events.map { event in
            var object = event.objectValue ?? JSONObject()
            object["timestamp"] = nil
            for member in leavingOut { object[member] = nil }
            if object["category_profile"]?["time_to_first_chunk"]?.numberValue != nil,
                var profile = object["category_profile"]?.objectValue
            {
                // Measured; only that it is there can be compared.
                profile["time_to_first_chunk"] = "measured"
                object["category_profile"] = .object(profile)
            }
            var result = JSONObject()
            // Own identity first, so that numbers follow the order of events.
            for key in ["uuid", "parent_uuid", "propagation_root_uuid"] { result[key] = object[key].map(number) }
            for member in object where result[member.key] == nil { result[member.key] = number(member.value) }
            return .object(result)
        }
    }

    /// Compares event by event, so that a difference names its place.
    static func expect(
        _ recorder: Recorder, equals name: String, leavingOut: Set<String> = [],
        adjusting: ([JSONValue]) -> [JSONValue] = { $0 }, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let expected = comparable(adjusting(try events(name)), leavingOut: leavingOut)
        let found = comparable(try recorder.output.values, leavingOut: leavingOut)
        #expect(found.count == expected.count, sourceLocation: sourceLocation)
        for (index, (found, expected)) in zip(found, expected).enumerated() where found != expected {
            Issue.record(
                "event \(index)\nfound    \(found.compactText)\nexpected \(expected.compactText)",
                sourceLocation: sourceLocation)
        }
    }
}
