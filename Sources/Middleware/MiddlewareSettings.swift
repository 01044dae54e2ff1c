/// What the document's components make of the chain; a component that is absent or off is nil.
package struct MiddlewareSettings: Sendable, Hashable {
    package var piiRedaction: PIIRedaction?
    package var guardrails: GuardrailRules?
    package var nemoGuardrails: NeMoGuardrails?
    package var workers: [WorkerSettings] = []

    package init() {}
}
