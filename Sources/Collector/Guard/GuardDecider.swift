package import ATOF

/// One guardrail that agents ask before they act: rules of the configuration, a remote service, a worker.
///
/// What it throws is an error for the agent, never an allow.
package protocol GuardDecider: Sendable {
    /// Unique; ties of priority are broken by it, byte by byte.
    var name: String { get }
    /// Lower is asked first (`middleware-guardrails-pii.md` 2.2).
    var priority: Int32 { get }
    /// Whether it also judges what others make of a call: it does so at once, and asks nobody else.
    var judgesRewritten: Bool { get }

    /// Whether the call may begin, by what was asked for (`middleware-guardrails-pii.md` 4.1, stage 1).
    ///
    /// - Parameter deadline: an answer that comes later is thrown away.
    func evaluate(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardVerdict

    /// What the call shall be made with instead, asked when every decider has allowed it (stage 2); nil leaves it as it is.
    ///
    /// - Parameter context: its call is what the deciders before have made of it.
    func rewrite(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardQuestion.Call?
}

extension GuardDecider {
    package var judgesRewritten: Bool { false }

    package func rewrite(
        _ context: GuardContext, until deadline: ContinuousClock.Instant
    ) async throws -> GuardQuestion.Call? { nil }
}

/// What is asked, and by whom.
package struct GuardContext: Sendable, Hashable {
    package let tenant: String
    package var question: GuardQuestion

    package init(tenant: String, question: GuardQuestion) {
        self.tenant = tenant
        self.question = question
    }
}

/// What a decider says.
package struct GuardVerdict: Sendable, Hashable {
    package struct Rejection: Sendable, Hashable {
        package let rule: String
        package let reason: String

        package init(rule: String, reason: String) {
            self.rule = rule
            self.reason = reason
        }
    }

    /// A rule that fired and wants somebody to know. Holds no payload.
    package struct Alert: Sendable, Hashable {
        package let rule: String
        package let message: String

        package init(rule: String, message: String) {
            self.rule = rule
            self.message = message
        }
    }

    /// Guardrails that were evaluated, in order; the one that rejected is the last.
    package var evaluated: [String]
    package var rejection: Rejection?
    package var alerts: [Alert]

    package init(evaluated: [String], rejection: Rejection? = nil, alerts: [Alert] = []) {
        self.evaluated = evaluated
        self.rejection = rejection
        self.alerts = alerts
    }
}
