internal import ATOF
internal import Synchronization

/// An open scope: marks, calls and further scopes below it.
///
/// What is called on it belongs to it, whatever else is open. Once it has ended, marks and calls still name it as their parent, and
/// pass what was registered for it; they come late then, but are not lost.
public final class AgentScope: Sendable {
    let frame: ScopeFrame
    let runtime: AgentRuntime
    let outer: AgentScope?
    let run: RunState
    /// Whether it stands for "no scope is open": then it is made anew whenever it is asked for.
    private let isNoScope: Bool
    private let state = Mutex(State())

    private struct State: Sendable {
        var isEnded = false
        var registrations: RegistrationSnapshot?
        var output = JSON.null
        var metadata = JSON.null
    }

    /// The bottom of a new stack.
    init(bottom frame: ScopeFrame, runtime: AgentRuntime, isNoScope: Bool = false) {
        self.frame = frame
        self.runtime = runtime
        self.isNoScope = isNoScope
        outer = nil
        run = RunState()
        for frame in sequence(first: frame, next: \.outer).reversed() { run.scopeStarted(frame) }
    }

    private init(_ frame: ScopeFrame, below outer: AgentScope) {
        self.frame = frame
        runtime = outer.runtime
        isNoScope = false
        self.outer = outer
        run = outer.run
        run.scopeStarted(frame)
    }

    /// The identity that events below have as their parent.
    public var uuid: EventUUID { frame.uuid }
    /// As it was opened with.
    public var name: String { frame.name }
    /// What another process needs to go on below this scope.
    public var context: PropagationContext {
        PropagationContext(root: frame.propagationRoot, parent: frame.uuid, run: frame.run)
    }

    // MARK: Scopes

    /// Opens a scope below this one, and ends it whatever happens.
    @discardableResult
    public func withScope<Result>(
        _ type: ScopeType, _ name: String, input: JSON = .null, metadata: JSON = .null,
        attributes: [ScopeAttribute] = [], isolation: isolated (any Actor)? = #isolation,
        _ body: (AgentScope) async throws -> Result
    ) async rethrows -> Result {
        let scope = open(type, name, input, metadata, attributes)
        do {
            let result = try await scope.activated(isolation: isolation, body)
            scope.end(nil)
            return result
        } catch {
            scope.end(error)
            throw error
        }
    }

    /// Opens a scope around work that does not wait.
    @discardableResult
    public func withScope<Result>(
        _ type: ScopeType, _ name: String, input: JSON = .null, metadata: JSON = .null,
        attributes: [ScopeAttribute] = [], _ body: (AgentScope) throws -> Result
    ) rethrows -> Result {
        let scope = open(type, name, input, metadata, attributes)
        do {
            let position = AgentRuntime.Position(scope: scope)
            let result = try AgentRuntime.$position.withValue(position) { try body(scope) }
            scope.end(nil)
            return result
        } catch {
            scope.end(error)
            throw error
        }
    }

    /// Makes this scope the current one of a task that is no child of the one that opened it.
    @discardableResult
    public func activated<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (AgentScope) async throws -> Result
    ) async rethrows -> Result {
        // A stack of its own is apart from the model call that goes on around it.
        let position = AgentRuntime.Position(scope: self, modelCall: outer == nil ? nil : AgentRuntime.currentModelCall)
        return try await AgentRuntime.$position.withValue(
            position, operation: { try await body(self) }, isolation: isolation)
    }

    private func open(
        _ type: ScopeType, _ name: String, _ input: JSON, _ metadata: JSON, _ attributes: [ScopeAttribute]
    ) -> AgentScope {
        let now = runtime.clock.now()
        let frame = frame.pushing(
            uuid: runtime.clock.makeUUID(now), name: name, category: type.rawValue,
            attributes: attributes.map(\.rawValue), metadata: metadata, at: now)
        let scope = AgentScope(frame, below: self)
        // By the new scope, whose run it is; it has no registrations of its own yet.
        scope.publish(frame.startEvent(input: input))
        return scope
    }

    /// What the end event has as data.
    public func setOutput(_ output: JSON) { state.withLock { $0.output = output } }

    /// Adds to the metadata of the end event, over what the scope began with and over how it went.
    public func addEndMetadata(_ metadata: JSON) {
        state.withLock { $0.metadata = $0.metadata.merging(metadata) }
    }

    var endMetadata: JSON { state.withLock { $0.metadata } }

    func changeEndMetadata(_ change: (inout JSON) -> Void) { state.withLock { change(&$0.metadata) } }

    private func end(_ error: (any Error)?) {
        let (output, added) = state.withLock { ($0.output, $0.metadata) }
        let metadata =
            switch error {
            case nil: CallStatus.succeeded(frame.metadata)
            case is CancellationError: CallStatus.threw(frame.metadata, "cancelled")
            case let error?: CallStatus.threw(frame.metadata, "\(error)")
            }
        publish(frame.endEvent(output: output, metadata: metadata.merging(added), at: runtime.clock.now()))
        // What was registered stays for what comes late: a stream that is read behind the scope has secrets like any other.
        state.withLock { $0.isEnded = true }
        run.scopeEnded(frame)
    }

    // MARK: Registrations

    /// Registers something for this scope and what is below it. It is gone with the scope: what comes late of it, such as the rest of a
    /// stream, still passes it.
    ///
    /// - Throws: `AgentKitError` when the name is taken, the scope has ended, or no scope was open where this one comes from.
    public func register(_ middleware: AgentMiddleware) throws(AgentKitError) {
        if isNoScope {
            throw AgentKitError(.scopeStackEmpty, "no scope is open: register on the runtime, or in a scope")
        }
        try state.withLock { (state) throws(AgentKitError) in
            if state.isEnded { throw AgentKitError(.notFound, "scope handle not found: \(frame.name) has ended") }
            var registrations = state.registrations?.registrations ?? Registrations()
            try registrations.insert(middleware)
            state.registrations = RegistrationSnapshot(registrations)
        }
        run.noteRegistration()
    }

    /// - Returns: whether there was one of the name.
    @discardableResult
    public func remove(_ kind: MiddlewareKind, _ name: String) -> Bool {
        state.withLock { state in
            guard var registrations = state.registrations?.registrations, registrations.remove(kind, name) else {
                return false
            }
            state.registrations = RegistrationSnapshot(registrations)
            return true
        }
    }

    /// What is registered here: globally, and by the scopes from the bottom to this one.
    var registrations: [Registrations] {
        var places = [runtime.registrations.registrations]
        guard run.hasRegistrations else { return places }
        let scopes = sequence(first: self, next: \.outer).compactMap { scope in
            scope.state.withLock { $0.registrations?.registrations }
        }
        places += scopes.reversed()
        return places
    }

    /// What is registered of one kind, in the order in which it runs.
    func registered<Value>(_ registry: (Registrations) -> Registry<Value>) -> [Registry<Value>.Entry] {
        Registry.merged(registrations.map(registry))
    }

    // MARK: Marks

    /// Notes that something happened here.
    public func mark(_ name: String, data: JSON = .null, metadata: JSON = .null, schema: EventSchema? = nil) {
        let now = runtime.clock.now()
        publish(
            frame.mark(
                name, uuid: runtime.clock.makeUUID(now), data: data, metadata: metadata, schema: schema, at: now))
        if name == "compaction" { run.compacted(below: frame) }
    }

    /// Notes that something happened here, and how serious it is. The severity is part of the metadata, which is an object here.
    public func mark(
        _ name: String, severity: Severity, data: JSON = .null, metadata: [String: JSON] = [:],
        schema: EventSchema? = nil
    ) {
        let metadata = severity.applied(to: .object(metadata.map { (key: $0.key, value: $0.value) })) ?? .null
        mark(name, data: data, metadata: metadata, schema: schema)
    }

    /// Publishes measurements, all or none.
    ///
    /// - Throws: `AgentKitError` that names the first measurement that is wrong.
    public func metrics(
        _ name: String, _ measurements: [MetricMeasurement], metadata: JSON = .null
    ) throws(AgentKitError) {
        let data = try MetricMeasurement.data(of: measurements)
        mark(name, data: data, metadata: metadata, schema: MetricMeasurement.schema)
    }
}
