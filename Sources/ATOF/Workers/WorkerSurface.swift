internal import CSkeinProto

/// What a worker is asked for (`middleware-guardrails-pii.md` 11.1, the surfaces that a stream and the guard service have).
package enum WorkerSurface: String, Sendable, Hashable, CaseIterable {
    case metadataInjector = "metadata_injector"
    case toolRequest = "tool_request"
    case toolResponse = "tool_response"
    case toolConditional = "tool_conditional"
    case toolIntercept = "tool_intercept"
    case llmRequest = "llm_request"
    case llmResponse = "llm_response"
    case llmConditional = "llm_conditional"
    case llmIntercept = "llm_intercept"
    case mark
    case scopeStart = "scope_start"
    case scopeEnd = "scope_end"

    /// What its items hold, and what its results may be.
    package enum Kind: Sendable, Hashable {
        case injector
        /// A payload of a tool or model call.
        case payload
        case conditional
        /// What a tool or a model is called with, before the act.
        case intercept
        /// A whole event.
        case event
    }

    /// Whether agents are answered by it before they act; a stream has no such events.
    package var isBeforeAct: Bool { kind == .conditional || kind == .intercept }

    package var kind: Kind {
        switch self {
        case .metadataInjector: .injector
        case .toolRequest, .toolResponse, .llmRequest, .llmResponse: .payload
        case .toolConditional, .llmConditional: .conditional
        case .toolIntercept, .llmIntercept: .intercept
        case .mark, .scopeStart, .scopeEnd: .event
        }
    }

    /// The number in `worker.proto`.
    var number: UInt32 {
        switch self {
        case .metadataInjector: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_METADATA_INJECTOR.rawValue
        case .toolRequest: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_TOOL_REQUEST.rawValue
        case .toolResponse: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_TOOL_RESPONSE.rawValue
        case .toolConditional: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_TOOL_CONDITIONAL.rawValue
        case .toolIntercept: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_TOOL_INTERCEPT.rawValue
        case .llmRequest: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_LLM_REQUEST.rawValue
        case .llmResponse: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_LLM_RESPONSE.rawValue
        case .llmConditional: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_LLM_CONDITIONAL.rawValue
        case .llmIntercept: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_LLM_INTERCEPT.rawValue
        case .mark: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_MARK.rawValue
        case .scopeStart: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_SCOPE_START.rawValue
        case .scopeEnd: SKEIN__V1__WORKER_SURFACE__WORKER_SURFACE_SCOPE_END.rawValue
        }
    }

    init?(number: UInt32) {
        guard let surface = WorkerSurface.allCases.first(where: { $0.number == number }) else { return nil }
        self = surface
    }
}

/// The form in which a worker reads its calls: the `Content-Type` of its announcements.
package enum WorkerEncoding: String, Sendable, Hashable {
    case protobuf = "application/x-protobuf"
    case json = "application/json"
}

/// Why a message of a worker is none: names the field and what is wrong with it, never a payload.
package struct WorkerMessageError: Error, Sendable, Hashable, CustomStringConvertible {
    package let field: String
    package let message: String

    package init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }

    package var description: String { field.isEmpty ? message : "\(field): \(message)" }
}
