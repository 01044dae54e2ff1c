/// Something to register: for the whole runtime, or for one scope and what is below it (`middleware-guardrails-pii.md` 2).
///
/// Of each kind a name is taken once in each place. Lower priorities run first; at the same one global before local, outer before inner
/// scopes, then by name. Callbacks run on the path of whoever makes the call, so they are quick, and they may be called concurrently.
public struct AgentMiddleware: Sendable {
    /// Returns what takes the place of the three payloads.
    public typealias EventSanitizer = @Sendable (AgentEvent) throws -> AgentEvent.Payloads
    /// Gets the name of the call; nil omits the payload.
    public typealias PayloadSanitizer = @Sendable (_ name: String, _ payload: JSON) throws -> JSON?
    /// Nil omits the request and its annotation.
    public typealias RequestSanitizer = @Sendable (ModelRequest) throws -> ModelRequest?

    enum Action: Sendable {
        case subscriber(@Sendable (AgentEvent) -> Void)
        case metadataInjector(@Sendable (AgentEvent) throws -> JSON)
        case markSanitizer(EventSanitizer)
        case scopeStartSanitizer(EventSanitizer)
        case scopeEndSanitizer(EventSanitizer)
        case toolRequestSanitizer(PayloadSanitizer)
        case toolResponseSanitizer(PayloadSanitizer)
        case toolGuardrail(ToolGuardrail)
        case toolRequestIntercept(ToolRequestIntercept)
        case toolExecutionIntercept(ToolExecutionIntercept)
        case modelRequestSanitizer(RequestSanitizer)
        case modelResponseSanitizer(PayloadSanitizer)
        case modelGuardrail(ModelGuardrail)
        case modelRequestIntercept(ModelRequestIntercept)
        case modelExecutionIntercept(ModelExecutionIntercept)
        case modelStreamIntercept(ModelStreamIntercept)
    }

    /// Taken once for each kind in each place; of guardrails the name of their scope.
    public let name: String
    /// Lower runs first, and outside.
    public let priority: Int32
    let action: Action

    private init(_ name: String, _ priority: Int32, _ action: Action) {
        self.name = name
        self.priority = priority
        self.action = action
    }

    // MARK: Events

    /// Sees every event as it is published.
    public static func subscriber(_ name: String, _ body: @escaping @Sendable (AgentEvent) -> Void) -> Self {
        Self(name, 0, .subscriber(body))
    }

    /// Adds members to metadata where there is none of the name. A key is one or more segments of `[A-Za-z0-9_-]` with dots between
    /// them; a value is a boolean, a string, a number or an array of one of these. One wrong member spoils the whole result; what throws
    /// adds nothing.
    public static func metadataInjector(
        _ name: String, priority: Int32 = 100, _ body: @escaping @Sendable (AgentEvent) throws -> JSON
    ) -> Self {
        Self(name, priority, .metadataInjector(body))
    }

    /// Replaces the payloads of marks. When it throws, the event is published without any.
    public static func markSanitizer(
        _ name: String, priority: Int32 = 100, _ body: @escaping EventSanitizer
    ) -> Self {
        Self(name, priority, .markSanitizer(body))
    }

    /// Replaces the payloads of starts, of calls too. When it throws, the event is published without any.
    public static func scopeStartSanitizer(
        _ name: String, priority: Int32 = 100, _ body: @escaping EventSanitizer
    ) -> Self {
        Self(name, priority, .scopeStartSanitizer(body))
    }

    /// Replaces the payloads of ends, of calls too. When it throws, the event is published without any.
    public static func scopeEndSanitizer(
        _ name: String, priority: Int32 = 100, _ body: @escaping EventSanitizer
    ) -> Self {
        Self(name, priority, .scopeEndSanitizer(body))
    }

    // MARK: Tools

    /// Rewrites the arguments that are published, not those that the tool gets. Nil, and an error, omits them.
    public static func toolRequestSanitizer(
        _ name: String, priority: Int32 = 100, _ body: @escaping PayloadSanitizer
    ) -> Self {
        Self(name, priority, .toolRequestSanitizer(body))
    }

    /// Rewrites the result that is published, not the one that the caller gets.
    public static func toolResponseSanitizer(
        _ name: String, priority: Int32 = 100, _ body: @escaping PayloadSanitizer
    ) -> Self {
        Self(name, priority, .toolResponseSanitizer(body))
    }

    /// Decides whether a tool is called. An error aborts the call as a rejection does.
    public static func toolGuardrail(
        _ name: String, priority: Int32 = 100,
        _ body: @escaping @Sendable (_ tool: String, _ arguments: JSON) async throws -> GuardDecision
    ) -> Self {
        Self(name, priority, .toolGuardrail(ToolGuardrail(body: body)))
    }

    /// Rewrites the arguments.
    ///
    /// - Parameter breaksChain: whether the intercepts behind it are left out.
    public static func toolRequestIntercept(
        _ name: String, priority: Int32 = 100, breaksChain: Bool = false,
        _ body: @escaping @Sendable (_ tool: String, _ arguments: JSON) async throws -> JSON
    ) -> Self {
        Self(name, priority, .toolRequestIntercept(ToolRequestIntercept(breaksChain: breaksChain, body: body)))
    }

    /// Wraps the tool; the lowest priority is outermost. `next` may be called never, once or many times, also concurrently, but only
    /// while the intercept runs.
    public static func toolExecutionIntercept(
        _ name: String, priority: Int32 = 100,
        _ body: @escaping @Sendable (_ tool: String, _ arguments: JSON, _ next: ToolNext) async throws -> ToolOutcome
    ) -> Self {
        Self(name, priority, .toolExecutionIntercept(ToolExecutionIntercept(body: body)))
    }

    // MARK: Models

    /// Rewrites the request that is published, not the one that the provider gets. Nil, and an error, omits it.
    public static func modelRequestSanitizer(
        _ name: String, priority: Int32 = 100, _ body: @escaping RequestSanitizer
    ) -> Self {
        Self(name, priority, .modelRequestSanitizer(body))
    }

    /// Rewrites the response that is published, not the one that the caller gets.
    public static func modelResponseSanitizer(
        _ name: String, priority: Int32 = 100, _ body: @escaping PayloadSanitizer
    ) -> Self {
        Self(name, priority, .modelResponseSanitizer(body))
    }

    /// Decides whether a model is called. An error aborts the call as a rejection does.
    public static func modelGuardrail(
        _ name: String, priority: Int32 = 100,
        _ body: @escaping @Sendable (ModelRequest) async throws -> GuardDecision
    ) -> Self {
        Self(name, priority, .modelGuardrail(ModelGuardrail(body: body)))
    }

    /// Rewrites the request, or its annotation when a request codec is active.
    public static func modelRequestIntercept(
        _ name: String, priority: Int32 = 100, breaksChain: Bool = false,
        _ body:
            @escaping @Sendable (_ call: String, _ request: ModelRequest, _ annotation: JSON?) async throws ->
            ModelRequestOutcome
    ) -> Self {
        Self(name, priority, .modelRequestIntercept(ModelRequestIntercept(breaksChain: breaksChain, body: body)))
    }

    /// Wraps the provider in buffered calls.
    public static func modelExecutionIntercept(
        _ name: String, priority: Int32 = 100,
        _ body: @escaping @Sendable (_ call: String, _ request: ModelRequest, _ next: ModelNext) async throws -> JSON
    ) -> Self {
        Self(name, priority, .modelExecutionIntercept(ModelExecutionIntercept(body: body)))
    }

    /// Wraps the provider in streamed calls. `next` works until the stream that the intercept returned has ended.
    public static func modelStreamIntercept(
        _ name: String, priority: Int32 = 100,
        _ body:
            @escaping @Sendable (_ call: String, _ request: ModelRequest, _ next: ModelStreamNext) async throws ->
            ModelChunks
    ) -> Self {
        Self(name, priority, .modelStreamIntercept(ModelStreamIntercept(body: body)))
    }
}

struct ToolGuardrail: Sendable {
    let body: @Sendable (String, JSON) async throws -> GuardDecision
}

struct ToolRequestIntercept: Sendable {
    let breaksChain: Bool
    let body: @Sendable (String, JSON) async throws -> JSON
}

struct ToolExecutionIntercept: Sendable {
    let body: @Sendable (String, JSON, ToolNext) async throws -> ToolOutcome
}

struct ModelGuardrail: Sendable {
    let body: @Sendable (ModelRequest) async throws -> GuardDecision
}

struct ModelRequestIntercept: Sendable {
    let breaksChain: Bool
    let body: @Sendable (String, ModelRequest, JSON?) async throws -> ModelRequestOutcome
}

struct ModelExecutionIntercept: Sendable {
    let body: @Sendable (String, ModelRequest, ModelNext) async throws -> JSON
}

struct ModelStreamIntercept: Sendable {
    let body: @Sendable (String, ModelRequest, ModelStreamNext) async throws -> ModelChunks
}
