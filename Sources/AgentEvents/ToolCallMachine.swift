package import ATOF
internal import LLMCodecs

/// The events of one managed tool call, in the order of the reference for every outcome (`middleware-guardrails-pii.md` 4.2).
///
/// Inputs say what happened and when; the answer is what to publish. A call that ended stays ended, so that the shell may report an end
/// from every exit.
package struct ToolCallMachine: Sendable {
    private enum State {
        case asking
        case running(since: EventTime)
        case ended
    }

    package let call: ManagedCall
    private let profile: JSONObject
    private var state = State.asking

    /// - Parameter callID: the provider's identity of the call.
    package init(_ call: ManagedCall, callID: String?) {
        self.call = call
        profile = JSONObject(present: [("tool_call_id", callID.map { .string($0) })])
    }

    /// The call begins: guardrails have allowed it and request intercepts have rewritten it.
    ///
    /// - Parameters:
    ///   - arguments: those that the tool gets; they tell whether a skill is loaded.
    ///   - published: what the event has in their place; nil omits them.
    package mutating func started(
        arguments: JSON, published: JSON?, at time: EventTime, makeUUID: () -> EventUUID
    ) -> [EventFields] {
        switch state {
        case .running, .ended: return []
        case .asking: state = .running(since: time)
        }
        var events = [
            call.event(
                .scopeStart, at: time, data: published ?? .null, metadata: call.metadata, profile: profile)
        ]
        guard SkillLoad.concerns(tool: call.name) || !call.metadata.isNull else { return events }
        let metadata = call.metadata.isNull ? nil : call.metadata.value
        for load in SkillLoad.of(tool: call.name, arguments: arguments.value, metadata: metadata) {
            events.append(
                call.mark(
                    "skill.load", uuid: makeUUID(), data: JSON(load.data),
                    metadata: JSON(load.metadata(tool: call.name)), at: time))
        }
        return events
    }

    /// The tool has returned.
    ///
    /// - Parameters:
    ///   - result: what is published of the result; nil when a sanitizer failed, and null when there is none.
    ///   - annotation: of the result.
    ///   - marks: in their final order.
    package mutating func succeeded(
        result: JSON?, annotation: JSON, marks: [PendingMark], at now: EventTime, makeUUID: () -> EventUUID
    ) -> [EventFields] {
        guard
            let (end, time) = returned(
                result: result, annotation: annotation, metadata: CallStatus.succeeded(call.metadata), at: now)
        else { return [] }
        var events = [end]
        for (index, mark) in marks.enumerated() {
            // The place counts also for marks that are dropped.
            if let mark = call.mark(mark, uuid: makeUUID(), at: time.adding(microseconds: index + 1)) {
                events.append(mark)
            }
        }
        return events
    }

    /// Somebody else has made the call: its end does not say how it went (4.4).
    package mutating func recorded(result: JSON?, annotation: JSON, at now: EventTime) -> [EventFields] {
        returned(result: result, annotation: annotation, metadata: call.metadata, at: now).map { [$0.end] } ?? []
    }

    private mutating func returned(
        result: JSON?, annotation: JSON, metadata: JSON, at now: EventTime
    ) -> (end: EventFields, time: EventTime)? {
        guard case .running(let start) = state else { return nil }
        state = .ended
        let time = now.endTime(after: start)
        var profile = profile
        if !annotation.isNull { profile["tool_result_annotation"] = annotation.value }
        let data = result.map { $0.isNull ? call.data : $0 } ?? .null
        return (call.event(.scopeEnd, at: time, data: data, metadata: metadata, profile: profile), time)
    }

    /// The tool or an intercept around it threw, or the call was dropped. Pending marks are lost with it.
    package mutating func failed(_ failure: CallFailure, at now: EventTime) -> [EventFields] {
        guard case .running(let start) = state else {
            state = .ended
            return []
        }
        state = .ended
        return [
            call.event(
                .scopeEnd, at: now.endTime(after: start), data: call.data,
                metadata: CallStatus.failed(call.metadata, failure, kind: .tool), profile: profile)
        ]
    }
}
