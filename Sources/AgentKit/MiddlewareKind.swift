/// The kind of a registration, for removing it.
public enum MiddlewareKind: Sendable, Hashable, CaseIterable {
    case subscriber, metadataInjector, markSanitizer, scopeStartSanitizer, scopeEndSanitizer
    case toolRequestSanitizer, toolResponseSanitizer, toolGuardrail, toolRequestIntercept, toolExecutionIntercept
    case modelRequestSanitizer, modelResponseSanitizer, modelGuardrail, modelRequestIntercept
    case modelExecutionIntercept, modelStreamIntercept
}
