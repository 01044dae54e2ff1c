package import ATOF
package import LLMCodecs

/// The events of one managed model call, buffered or streamed, in the order of the reference for every outcome
/// (`middleware-guardrails-pii.md` 5.2 to 5.4 and 6.1).
package struct ModelCallMachine: Sendable {
    private enum State {
        case asking
        case running(since: EventTime)
        case ended
    }

    package let call: ManagedCall
    private let model: String?
    private let codec: Surface?
    private var state = State.asking
    private var ledger = OptimizationLedger()
    private var chunks = 0
    /// Seconds from the start to the first chunk.
    private var timeToFirstChunk: Double?

    /// - Parameters:
    ///   - model: `model_name`.
    ///   - codec: what the response is read with.
    package init(_ call: ManagedCall, model: String?, codec: Surface?) {
        self.call = call
        self.model = model
        self.codec = codec
    }

    private var profile: JSONObject { JSONObject(present: [("model_name", model.map { .string($0) })]) }

    /// The call begins.
    ///
    /// - Parameters:
    ///   - marks: what request intercepts ask for.
    ///   - optimizations: what they have saved, and when they said so.
    package mutating func started(
        _ observed: ObservedModelRequest, marks: [PendingMark] = [], optimizations: [JSON] = [], at time: EventTime,
        makeUUID: () -> EventUUID
    ) -> [EventFields] {
        switch state {
        case .running, .ended: return []
        case .asking: state = .running(since: time)
        }
        var profile = profile
        profile["annotated_request"] = observed.annotation?.value
        var events = [
            call.event(
                .scopeStart, at: time, data: observed.request?.json ?? .null, metadata: call.metadata, profile: profile)
        ]
        for mark in marks {
            if let mark = call.mark(mark, uuid: makeUUID(), at: time.adding(microseconds: 1)) { events.append(mark) }
        }
        return events + record(optimizations, at: time, makeUUID: makeUUID)
    }

    /// Contributions that are told while the call runs.
    package mutating func record(
        _ optimizations: [JSON], at time: EventTime, makeUUID: () -> EventUUID
    ) -> [EventFields] {
        guard case .running(let start) = state else { return [] }
        return optimizations.compactMap { contribution in
            guard let recorded = ledger.record(contribution, id: makeUUID()) else { return nil }
            let sequence = ledger.contributions.count - 1
            return call.mark(
                ModelCallMachine.optimization, uuid: makeUUID(), data: JSON(.object(recorded)), category: "custom",
                profile: ["subtype": JSON(ModelCallMachine.optimization)],
                schema: EventSchema(name: "nemo.relay.llm_optimization_contribution", version: "1"),
                at: max(time, start.adding(microseconds: sequence + 2)))
        }
    }

    private static let optimization = "nemo_relay.llm.optimization"

    /// A chunk has come.
    ///
    /// - Parameter elapsed: seconds since the request was sent, by a clock that is never set.
    package mutating func chunk(
        _ chunk: JSON, elapsed: Double, at time: EventTime, makeUUID: () -> EventUUID
    ) -> [EventFields] {
        guard case .running = state else { return [] }
        if timeToFirstChunk == nil { timeToFirstChunk = elapsed }
        let data = ChunkMark.data(of: chunk.value, index: chunks)
        chunks += 1
        return [call.mark("llm.chunk", uuid: makeUUID(), data: JSON(data), at: time)]
    }

    /// The whole response is there.
    ///
    /// - Parameter response: what is published of it; nil when a sanitizer has dropped it.
    package mutating func succeeded(response: JSON?, at now: EventTime) -> [EventFields] {
        guard case .running(let start) = state else { return [] }
        state = .ended
        let response = response.map { $0.isNull ? call.data : $0 } ?? .null
        return [end(response, CallStatus.succeeded(call.metadata), isInterrupted: false, start, now)]
    }

    /// Something threw, or the call was dropped.
    ///
    /// - Parameter partial: what had come of a stream, or the handle's data, as the sanitizers have left it.
    package mutating func failed(_ failure: CallFailure, partial: JSON?, at now: EventTime) -> [EventFields] {
        guard case .running(let start) = state else {
            state = .ended
            return []
        }
        state = .ended
        let metadata = CallStatus.failed(call.metadata, failure, kind: .llm)
        return [end(partial ?? .null, metadata, isInterrupted: true, start, now)]
    }

    /// The consumer of a stream went away. When everything that counts had come, that is no failure.
    package mutating func dropped(partial: JSON?, at now: EventTime) -> [EventFields] {
        guard let response = decoded(partial ?? .null), response.isWhole else {
            return failed(.streamDropped, partial: partial, at: now)
        }
        return succeeded(response: partial, at: now)
    }

    private func end(
        _ data: JSON, _ metadata: JSON, isInterrupted: Bool, _ start: EventTime, _ now: EventTime
    ) -> EventFields {
        var profile = profile
        let response = decoded(data)
        var annotation = response?.annotation
        if let summary = ledger.summary(usage: response?.usage, isInterrupted: isInterrupted && chunks > 0) {
            annotation = annotation ?? JSONObject()
            annotation?["optimization_summary"] = .object(summary)
        }
        profile["annotated_response"] = annotation.map { .object($0) }
        profile["time_to_first_chunk"] = timeToFirstChunk.map { .double($0) }
        return call.event(
            .scopeEnd, at: now.endTime(after: start), data: data, metadata: metadata, profile: profile)
    }

    private func decoded(_ response: JSON) -> NormalizedResponse? {
        guard let codec, !response.isNull else { return nil }
        return try? codec.decodeResponse(response.value)
    }
}

extension NormalizedResponse {
    /// Whether it says why the model stopped and what it used.
    fileprivate var isWhole: Bool {
        switch finishReason {
        case nil, .unknown: return false
        case .complete, .length, .toolUse, .contentFilter: break
        }
        guard let usage else { return false }
        return usage.totalTokens != nil || usage.promptTokens != nil && usage.completionTokens != nil
    }
}
