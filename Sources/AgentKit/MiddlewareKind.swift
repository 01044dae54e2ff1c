/// The kind of a registration, for removing it.
public enum MiddlewareKind: Sendable, Hashable, CaseIterable {
    /// What `AgentMiddleware.subscriber` registers.
    case subscriber
    /// What `AgentMiddleware.metadataInjector` registers.
    case metadataInjector
    /// What `AgentMiddleware.markSanitizer` registers.
    case markSanitizer
    /// What `AgentMiddleware.scopeStartSanitizer` registers.
    case scopeStartSanitizer
    /// What `AgentMiddleware.scopeEndSanitizer` registers.
    case scopeEndSanitizer
    /// What `AgentMiddleware.toolRequestSanitizer` registers.
    case toolRequestSanitizer
    /// What `AgentMiddleware.toolResponseSanitizer` registers.
    case toolResponseSanitizer
    /// What `AgentMiddleware.toolGuardrail` registers.
    case toolGuardrail
    /// What `AgentMiddleware.toolRequestIntercept` registers.
    case toolRequestIntercept
    /// What `AgentMiddleware.toolExecutionIntercept` registers.
    case toolExecutionIntercept
    /// What `AgentMiddleware.modelRequestSanitizer` registers.
    case modelRequestSanitizer
    /// What `AgentMiddleware.modelResponseSanitizer` registers.
    case modelResponseSanitizer
    /// What `AgentMiddleware.modelGuardrail` registers.
    case modelGuardrail
    /// What `AgentMiddleware.modelRequestIntercept` registers.
    case modelRequestIntercept
    /// What `AgentMiddleware.modelExecutionIntercept` registers.
    case modelExecutionIntercept
    /// What `AgentMiddleware.modelStreamIntercept` registers.
    case modelStreamIntercept
}
