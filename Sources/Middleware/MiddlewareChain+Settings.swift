package import ATOF
package import LLMCodecs

extension MiddlewareChain {
    /// The chain of a configuration, with the steps that are always there.
    ///
    /// - Throws: the first setting that a redaction cannot follow.
    package init(
        _ settings: MiddlewareSettings, pricing: PricingSources, facts: CollectorFacts, _ compatibility: Compatibility
    ) throws(RedactionError) {
        var steps: [any ChainStep] = [CredentialHeaderStep(compatibility: compatibility)]
        if let metadata = settings.metadata { steps.append(MetadataInjectionStep(metadata, facts: facts)) }
        if let redaction = settings.piiRedaction {
            for profile in redaction.profiles {
                steps.append(try MiddlewareChain.step(of: profile, redaction, compatibility))
            }
        }
        if let rules = settings.guardrails { steps += rules.steps }
        if let guardrails = settings.nemoGuardrails { steps += NeMoGuardrailsStep.steps(of: guardrails) }
        for worker in settings.workers { steps += WorkerStep.steps(of: worker) }
        if !pricing.isEmpty { steps.append(PricingStep(sources: pricing)) }
        self.init(steps)
    }

    private static func step(
        of profile: PIIRedaction.Profile, _ component: PIIRedaction, _ compatibility: Compatibility
    ) throws(RedactionError) -> any ChainStep {
        // Numbers of one length, so that equal priorities run in the document's order.
        let name = profile.index.map { "pii_redaction.profile_\(padded($0))" } ?? "pii_redaction"
        do {
            if profile.builtin.preset == .trajectoryContext {
                return try TrajectoryContextStep(profile, of: component, name: name, compatibility)
            }
            return try PIIRedactionStep(profile, of: component, name: name, compatibility)
        } catch {
            let place = profile.index.map { "profiles[\($0)]." } ?? ""
            throw RedactionError(field: "\(place)builtin.\(error.field)", reason: error.reason)
        }
    }

    private static func padded(_ index: Int) -> String {
        let digits = String(index)
        return String(repeating: "0", count: max(0, 20 - digits.count)) + digits
    }
}
