/// What can be registered (`middleware-guardrails-pii.md` 2.1).
package enum RegistryKind: String, Sendable, Hashable, CaseIterable {
    case subscriber
    case metadataInjector = "event_metadata_injector"
    case markSanitizer = "mark_sanitize_guardrail"
    case scopeStartSanitizer = "scope_sanitize_start_guardrail"
    case scopeEndSanitizer = "scope_sanitize_end_guardrail"
    case toolRequestSanitizer = "tool_sanitize_request_guardrail"
    case toolResponseSanitizer = "tool_sanitize_response_guardrail"
    case toolGuardrail = "tool_conditional_execution_guardrail"
    case toolRequestIntercept = "tool_request_intercept"
    case toolExecutionIntercept = "tool_execution_intercept"
    case llmRequestSanitizer = "llm_sanitize_request_guardrail"
    case llmResponseSanitizer = "llm_sanitize_response_guardrail"
    case llmGuardrail = "llm_conditional_execution_guardrail"
    case llmRequestIntercept = "llm_request_intercept"
    case llmExecutionIntercept = "llm_execution_intercept"
    case llmStreamExecutionIntercept = "llm_stream_execution_intercept"
}
