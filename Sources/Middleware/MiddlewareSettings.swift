/// What the document's components make of the chain; a component that is absent or off is nil.
package struct MiddlewareSettings: Sendable, Hashable {
    package var piiRedaction: PIIRedaction?
    package var guardrails: GuardrailRules?
    package var nemoGuardrails: NeMoGuardrails?
    package var workers: [WorkerSettings] = []
    package var metadata: MetadataInjection?

    package init() {}
}

/// What a collector can say of itself in events.
package struct CollectorFacts: Sendable, Hashable {
    package let collector: String
    package let version: String

    package init(collector: String, version: String) {
        self.collector = collector
        self.version = version
    }
}
