package import ATOF

/// The marks of remote checks: `nemo_guardrails.remote.start`, then `.end` or `.error` (`middleware-guardrails-pii.md` 9.1).
package struct NeMoGuardrailsMarks: Sendable {
    private let settings: NeMoGuardrails

    package init(_ settings: NeMoGuardrails) { self.settings = settings }

    /// Packed marks of a check that has ended. Derived from the event, so that a check of the same event makes the same marks.
    ///
    /// - Parameters:
    ///   - parent: what was on top when the check began.
    ///   - moment: of the event that was checked; the marks follow it by a microsecond each.
    ///   - tool: of the check of a tool's output.
    package func packed(
        about event: EventUUID, parent: EventUUID?, moment: EventTime, tool: String?, _ outcome: NeMoGuardrailsOutcome
    ) -> [[UInt8]] {
        var data = JSONObject([("stream", false)])
        switch settings.configuration {
        case .one(let id): data["config_id"] = .string(id)
        case .several(let ids): data["config_ids"] = .array(ids.map { .string($0) })
        }
        if let tool {
            data["surface"] = "tool_output"
            data["tool_name"] = .string(tool)
        }
        var end = data
        let word: String
        switch outcome {
        case .success(let answer):
            word = "end"
            end["http_status"] = .int(Int64(answer.status))
            // Skein's own: the collector removes what a rail blocks, where NeMo Relay fails the call.
            if case .blocked(let rail) = answer.verdict { end["blocked_by"] = .string(rail) }
        case .failure(let failure):
            word = "error"
            end["http_status"] = failure.status.map { .int(Int64($0)) }
            end["error"] = .string(failure.message)
        }
        return [
            mark("start", data, event, parent, NeMoGuardrailsMarks.later(moment, by: 1)),
            mark(word, end, event, parent, NeMoGuardrailsMarks.later(moment, by: 2)),
        ]
    }

    private func mark(
        _ word: String, _ data: JSONObject, _ event: EventUUID, _ parent: EventUUID?, _ time: EventTime
    ) -> [UInt8] {
        // Start and end of a scope are checked at different times only, by one check each.
        let uuid = NeMoGuardrailsMarks.uuid(of: event, word == "start" ? 1 : 2)
        var fields = EventFields(
            kind: .mark, uuid: uuid, timestamp: time, name: "\(NeMoGuardrails.name).remote.\(word)")
        fields.parentUUID = parent
        fields.data = Array(data.compactText.utf8)
        return fields.packed()
    }

    /// Version 8, for values of one's own (RFC 9562, 5.8): FNV-1a over the event's UUID and a number.
    private static func uuid(of event: EventUUID, _ number: UInt8) -> EventUUID {
        var hash: UInt128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D
        for byte in Array("nemo_guardrails".utf8) + event.bytes + [number] {
            hash = (hash ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013B
        }
        let (high, low) = (UInt64(truncatingIfNeeded: hash >> 64), UInt64(truncatingIfNeeded: hash))
        return EventUUID(
            high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x8000, low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
    }

    private static func later(_ time: EventTime, by microseconds: UInt32) -> EventTime {
        let nanoseconds = time.nanoseconds + microseconds * 1_000
        return EventTime(
            seconds: time.seconds + Int64(nanoseconds / 1_000_000_000), nanoseconds: nanoseconds % 1_000_000_000)
            ?? time
    }
}

/// What came of a check: the verdict with the answer's status, or why there is none.
package typealias NeMoGuardrailsOutcome = Result<NeMoGuardrailsAnswer, NeMoGuardrailsFailure>

package struct NeMoGuardrailsAnswer: Sendable, Hashable {
    package let status: Int
    package let verdict: NeMoGuardrailsVerdict

    package init(status: Int, verdict: NeMoGuardrailsVerdict) {
        self.status = status
        self.verdict = verdict
    }
}
