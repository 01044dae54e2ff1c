internal import AgentEvents

/// Everything that is registered in one place, one registry for each kind.
struct Registrations: Sendable {
    var subscribers = Registry<@Sendable (AgentEvent) -> Void>()
    var metadataInjectors = Registry<@Sendable (AgentEvent) throws -> JSON>()
    var markSanitizers = Registry<AgentMiddleware.EventSanitizer>()
    var scopeStartSanitizers = Registry<AgentMiddleware.EventSanitizer>()
    var scopeEndSanitizers = Registry<AgentMiddleware.EventSanitizer>()
    var toolRequestSanitizers = Registry<AgentMiddleware.PayloadSanitizer>()
    var toolResponseSanitizers = Registry<AgentMiddleware.PayloadSanitizer>()
    var toolGuardrails = Registry<ToolGuardrail>()
    var toolRequestIntercepts = Registry<ToolRequestIntercept>()
    var toolExecutionIntercepts = Registry<ToolExecutionIntercept>()
    var modelRequestSanitizers = Registry<AgentMiddleware.RequestSanitizer>()
    var modelResponseSanitizers = Registry<AgentMiddleware.PayloadSanitizer>()
    var modelGuardrails = Registry<ModelGuardrail>()
    var modelRequestIntercepts = Registry<ModelRequestIntercept>()
    var modelExecutionIntercepts = Registry<ModelExecutionIntercept>()
    var modelStreamIntercepts = Registry<ModelStreamIntercept>()

    /// Whether something looks at events on their way out.
    var concernsEvents: Bool {
        !(subscribers.isEmpty && metadataInjectors.isEmpty && markSanitizers.isEmpty && scopeStartSanitizers.isEmpty
            && scopeEndSanitizers.isEmpty)
    }

    mutating func insert(_ entry: AgentMiddleware) throws(AgentKitError) {
        let (name, priority) = (entry.name, entry.priority)
        switch entry.action {
        case .subscriber(let body): try subscribers.insert(body, name: name, priority: priority)
        case .metadataInjector(let body): try metadataInjectors.insert(body, name: name, priority: priority)
        case .markSanitizer(let body): try markSanitizers.insert(body, name: name, priority: priority)
        case .scopeStartSanitizer(let body): try scopeStartSanitizers.insert(body, name: name, priority: priority)
        case .scopeEndSanitizer(let body): try scopeEndSanitizers.insert(body, name: name, priority: priority)
        case .toolRequestSanitizer(let body): try toolRequestSanitizers.insert(body, name: name, priority: priority)
        case .toolResponseSanitizer(let body): try toolResponseSanitizers.insert(body, name: name, priority: priority)
        case .toolGuardrail(let body): try toolGuardrails.insert(body, name: name, priority: priority)
        case .toolRequestIntercept(let body): try toolRequestIntercepts.insert(body, name: name, priority: priority)
        case .toolExecutionIntercept(let body): try toolExecutionIntercepts.insert(body, name: name, priority: priority)
        case .modelRequestSanitizer(let body): try modelRequestSanitizers.insert(body, name: name, priority: priority)
        case .modelResponseSanitizer(let body): try modelResponseSanitizers.insert(body, name: name, priority: priority)
        case .modelGuardrail(let body): try modelGuardrails.insert(body, name: name, priority: priority)
        case .modelRequestIntercept(let body): try modelRequestIntercepts.insert(body, name: name, priority: priority)
        case .modelExecutionIntercept(let body):
            try modelExecutionIntercepts.insert(body, name: name, priority: priority)
        case .modelStreamIntercept(let body): try modelStreamIntercepts.insert(body, name: name, priority: priority)
        }
    }

    /// - Returns: whether there was one of the name.
    mutating func remove(_ kind: MiddlewareKind, _ name: String) -> Bool {
        switch kind {
        case .subscriber: subscribers.remove(name)
        case .metadataInjector: metadataInjectors.remove(name)
        case .markSanitizer: markSanitizers.remove(name)
        case .scopeStartSanitizer: scopeStartSanitizers.remove(name)
        case .scopeEndSanitizer: scopeEndSanitizers.remove(name)
        case .toolRequestSanitizer: toolRequestSanitizers.remove(name)
        case .toolResponseSanitizer: toolResponseSanitizers.remove(name)
        case .toolGuardrail: toolGuardrails.remove(name)
        case .toolRequestIntercept: toolRequestIntercepts.remove(name)
        case .toolExecutionIntercept: toolExecutionIntercepts.remove(name)
        case .modelRequestSanitizer: modelRequestSanitizers.remove(name)
        case .modelResponseSanitizer: modelResponseSanitizers.remove(name)
        case .modelGuardrail: modelGuardrails.remove(name)
        case .modelRequestIntercept: modelRequestIntercepts.remove(name)
        case .modelExecutionIntercept: modelExecutionIntercepts.remove(name)
        case .modelStreamIntercept: modelStreamIntercepts.remove(name)
        }
    }
}

/// The registrations of one place at one time. Nothing of it changes, so taking it costs one reference.
final class RegistrationSnapshot: Sendable {
    let registrations: Registrations
    let concernsEvents: Bool

    init(_ registrations: Registrations = Registrations()) {
        self.registrations = registrations
        concernsEvents = registrations.concernsEvents
    }
}
