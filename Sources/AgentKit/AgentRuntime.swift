internal import ATOF
internal import Synchronization

/// What publishes an agent's events: one for a process, in most cases.
///
///     let runtime = AgentRuntime(output: publisher)
///     try await runtime.withScope(.agent, "planner") { scope in
///         let weather = try await scope.callTool("weather", ["city": "Rome"]) { arguments in … }
///     }
///
/// Scopes are structured: they end when their closure returns, throws or is cancelled, child tasks inherit them, and requests that open
/// scopes of their own share nothing. Nothing here throws into the agent's work but what was asked for: the closures' own errors,
/// guardrails that reject, and intercepts that fail.
public final class AgentRuntime: Sendable {
    let output: any EventOutput
    let settings: AgentSettings
    let clock: AgentClock
    private let registered = Mutex(RegistrationSnapshot())
    /// What marks outside of any scope are below.
    private let bottom: ScopeFrame

    /// A runtime that hands its events to an output.
    public convenience init(output: any EventOutput, settings: AgentSettings = AgentSettings()) {
        self.init(output: output, settings: settings, clock: .system)
    }

    package init(output: any EventOutput, settings: AgentSettings = AgentSettings(), clock: AgentClock) {
        self.output = output
        self.settings = settings
        self.clock = clock
        let now = clock.now()
        bottom = .root(uuid: clock.makeUUID(now), at: now)
    }

    // MARK: Registrations

    /// Registers something for all scopes.
    ///
    /// - Throws: `AgentKitError` when the name is taken: nothing is ever replaced.
    public func register(_ middleware: AgentMiddleware) throws(AgentKitError) {
        try registered.withLock { (snapshot) throws(AgentKitError) in
            var registrations = snapshot.registrations
            try registrations.insert(middleware)
            snapshot = RegistrationSnapshot(registrations)
        }
    }

    /// - Returns: whether there was one of the name.
    @discardableResult
    public func remove(_ kind: MiddlewareKind, _ name: String) -> Bool {
        registered.withLock { snapshot in
            var registrations = snapshot.registrations
            let isRemoved = registrations.remove(kind, name)
            if isRemoved { snapshot = RegistrationSnapshot(registrations) }
            return isRemoved
        }
    }

    var registrations: RegistrationSnapshot { registered.withLock { $0 } }

    // MARK: Where we are

    /// A place on a stack that a task and its children are at.
    struct Position: Sendable {
        let scope: AgentScope
        /// The managed call whose callback runs.
        var call: EventUUID?
        /// The innermost model call around, also when its callback has opened scopes or calls a tool.
        var modelCall: RunningModelCall?

        init(scope: AgentScope, call: EventUUID? = nil, modelCall: RunningModelCall? = AgentRuntime.currentModelCall) {
            self.scope = scope
            self.call = call
            self.modelCall = modelCall
        }
    }

    @TaskLocal static var position: Position?

    private static let shared = Mutex<AgentRuntime?>(nil)
    private static let silent = AgentRuntime(output: NoOutput())

    private struct NoOutput: EventOutput {
        func append(_ event: [UInt8], key: EventUUID) {}
    }

    /// Makes a runtime the one that free functions use where no scope is open.
    public static func bootstrap(_ runtime: AgentRuntime) { shared.withLock { $0 = runtime } }

    /// The runtime of the innermost open scope, else the one of `bootstrap`, else one that publishes nothing.
    public static var current: AgentRuntime {
        position?.scope.runtime ?? shared.withLock { $0 } ?? silent
    }

    /// The managed model call whose execution intercepts or callback this task runs in, the innermost one; nil outside of any. What reads
    /// the chunks of a stream later is outside: take it where the stream is opened.
    public static var currentModelCall: RunningModelCall? { position?.modelCall }

    /// The innermost scope of this task; outside of any, one that is never published and that is the parent of everything there. Nothing
    /// can be registered for that one.
    public var currentScope: AgentScope { openScope ?? AgentScope(bottom: bottom, runtime: self, isNoScope: true) }

    private var openScope: AgentScope? {
        guard let position = AgentRuntime.position, position.scope.runtime === self else { return nil }
        return position.scope
    }

    /// Where scopes and calls begin: outside of any scope each begins a run of its own.
    var startingScope: AgentScope { openScope ?? makeStack() }

    /// A stack with nothing on it.
    private func makeStack() -> AgentScope {
        let now = clock.now()
        return AgentScope(bottom: .root(uuid: clock.makeUUID(now), at: now), runtime: self)
    }

    // MARK: Scopes

    /// Opens a scope below the current one, and ends it whatever happens.
    @discardableResult
    public func withScope<Result>(
        _ type: ScopeType, _ name: String, input: JSON = .null, metadata: JSON = .null,
        attributes: [ScopeAttribute] = [], isolation: isolated (any Actor)? = #isolation,
        _ body: (AgentScope) async throws -> Result
    ) async rethrows -> Result {
        try await startingScope.withScope(
            type, name, input: input, metadata: metadata, attributes: attributes, isolation: isolation, body)
    }

    /// Opens a scope around work that does not wait.
    @discardableResult
    public func withScope<Result>(
        _ type: ScopeType, _ name: String, input: JSON = .null, metadata: JSON = .null,
        attributes: [ScopeAttribute] = [], _ body: (AgentScope) throws -> Result
    ) rethrows -> Result {
        try startingScope.withScope(
            type, name, input: input, metadata: metadata, attributes: attributes, body)
    }

    /// Several scopes, marks and calls side by side on one new stack, with one parent that is never published: apart from everything
    /// that goes on around it.
    @discardableResult
    public func withStack<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (AgentScope) async throws -> Result
    ) async rethrows -> Result {
        try await makeStack().activated(isolation: isolation, body)
    }

    // MARK: Propagation

    /// Goes on below a scope of another process: what the request's headers or its context say.
    @discardableResult
    public func withContext<Result>(
        _ context: PropagationContext, isolation: isolated (any Actor)? = #isolation,
        _ body: (AgentScope) async throws -> Result
    ) async rethrows -> Result {
        let bottom = AgentScope(bottom: .importing(context, at: clock.now()), runtime: self)
        return try await bottom.activated(isolation: isolation, body)
    }

    /// What another process needs to go on here: in headers of a request, or as JSON.
    public var context: PropagationContext {
        guard let position = AgentRuntime.position, position.scope.runtime === self else { return currentScope.context }
        return PropagationContext(
            root: position.scope.frame.propagationRoot, parent: position.call ?? position.scope.uuid,
            run: position.scope.frame.run)
    }

    /// Goes on in isolation: the same parent, but no registrations of scopes, and a history of its own.
    @discardableResult
    public func withFork<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (AgentScope) async throws -> Result
    ) async rethrows -> Result {
        try await withContext(context, isolation: isolation, body)
    }
}
