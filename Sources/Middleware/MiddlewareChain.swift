package import ATOF

/// One step of the policy that every event passes before anybody behind `process` sees it.
package protocol ChainStep: Sendable {
    /// Unique in the chain; ties of priority are broken by it, byte by byte.
    var name: String { get }
    /// Lower runs first (`middleware-guardrails-pii.md` 2.2).
    var priority: Int32 { get }

    /// Changes the draft in place. What it throws counts as a failure of the step: for a sanitizer the payloads are cleared.
    mutating func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) throws -> ChainDecision
    /// Whether it may put into an event what somebody outside of the configuration says.
    var bringsContent: Bool { get }
}

extension ChainStep {
    package var bringsContent: Bool { false }
}

package enum ChainDecision: Sendable, Hashable {
    case pass
    /// The event goes no further; `rule` names who said so.
    case drop(rule: String)
}

/// What the steps say beside what they do to the event: counters, alerts, and events that they add to the run.
package struct ChainNotes: Sendable {
    /// A rule that fired and wants somebody to know (`skein.v1.alerts.<tenant>.<rule>`). Holds no payload.
    package struct Alert: Sendable, Hashable {
        package let rule: String
        package let message: String
        package let event: EventUUID
        /// Of the run; nil until `process` says it, which resolves it.
        package var root: EventUUID?

        package init(rule: String, message: String, event: EventUUID) {
            self.rule = rule
            self.message = message
            self.event = event
        }
    }

    /// A step that could not do its work: its name, and a stable reason without any payload.
    package struct Failure: Sendable, Hashable {
        package let step: String
        package let reason: String

        package init(step: String, reason: String) {
            self.step = step
            self.reason = reason
        }
    }

    package var alerts: [Alert] = []
    package var failures: [Failure] = []
    /// How often a step changed an event, by its name.
    package var changes: [String: Int] = [:]
    /// Packed events that go into PROCESSED directly behind the event that caused them.
    package var injected: [[UInt8]] = []
    /// What the steps of workers ask, and what these answered.
    package var workers = WorkerExchange()

    package init() {}
}

/// The steps in their order, applied to one event after the other. Pure: the same event and state give the same outcome.
package struct MiddlewareChain: Sendable {
    package enum Outcome: Sendable, Hashable {
        /// As it came.
        case unchanged
        /// The event packed anew.
        case changed([UInt8])
        case dropped(rule: String)
    }

    package private(set) var steps: [any ChainStep]
    /// Whether there is anything that no reader may see.
    let hasRedactions: Bool

    package init(_ steps: [any ChainStep] = []) {
        // Stable, lower priority first, then the name's bytes.
        self.steps = steps.sorted { left, right in
            left.priority != right.priority
                ? left.priority < right.priority : left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        }
        hasRedactions = steps.contains { $0 is any RedactingStep }
    }

    package var isEmpty: Bool { steps.isEmpty }

    /// What is left of an event that must go on but may not say anything: no payloads, and its name as the redactions leave it.
    package mutating func withoutPayloads(_ event: Event, tenant: String) -> [UInt8]? {
        var draft = EventDraft(event, tenant: tenant)
        draft.clearPayloads()
        for index in steps.indices {
            // The preset would give it payloads again, empty ones.
            guard var step = steps[index] as? any RedactingStep, !(step is TrajectoryContextStep) else { continue }
            step.redact(&draft)
        }
        return hasRedactions && event.hasForeignBytes ? draft.packedAnew() : draft.packed()
    }

    package mutating func apply(_ event: Event, tenant: String, _ notes: inout ChainNotes) -> Outcome {
        if steps.isEmpty { return .unchanged }
        var draft = EventDraft(event, tenant: tenant)
        var hasFailed = false
        let added = notes.injected.count
        // Also when the event itself is dropped.
        defer { if notes.injected.count > added { redactAdded(since: added, tenant: tenant, &notes) } }
        for index in steps.indices {
            let before = hasRedactions && steps[index].bringsContent ? draft : nil
            do {
                switch try steps[index].apply(&draft, &notes) {
                case .pass: break
                case .drop(let rule): return .dropped(rule: rule)
                }
                if let before { redactAgain(&draft, since: before, by: 0..<index) }
            } catch is WorkerPending {
                // Only while it is planned who is asked: nothing of the draft is used.
                return .unchanged
            } catch {
                // Fails closed (`middleware-guardrails-pii.md` 7): the event goes on without what the step governs.
                notes.failures.append(.init(step: steps[index].name, reason: "\(error)"))
                // The others go on: what no failure clears, such as the name, may still have to be redacted.
                draft.clearPayloads()
                hasFailed = true
            }
        }
        if hasFailed { draft.clearPayloads() }
        draft.dropRepeatedMembers()
        if let packed = draft.packed() { return .changed(packed) }
        // The bytes that came in have what nobody has looked at.
        return hasRedactions && event.hasForeignBytes ? .changed(draft.packedAnew()) : .unchanged
    }

    private mutating func redactAdded(since count: Int, tenant: String, _ notes: inout ChainNotes) {
        var added = Array(notes.injected[count...])
        redact(added: &added, tenant: tenant)
        notes.injected.replaceSubrange(count..., with: added)
    }
}
