public import ATOF

extension AgentScope {
    /// Calls a tool: guardrails, request intercepts, the start event, execution intercepts around the tool, and an end event for
    /// every way in which it ends (`middleware-guardrails-pii.md` 4).
    ///
    /// - Parameters:
    ///   - id: the provider's identity of the call.
    ///   - data: what the end event has when the tool returns nothing.
    ///   - body: gets the arguments as the intercepts have left them.
    /// - Returns: what the tool returned, not what was published of it.
    /// - Throws: what the tool or an intercept throws; `AgentKitError` when a guardrail rejects.
    @discardableResult
    public func callTool(
        _ name: String, _ arguments: JSON = .null, id: String? = nil, attributes: [ToolAttribute] = [],
        data: JSON = .null, metadata: JSON = .null, _ body: @escaping @Sendable (JSON) async throws -> JSON
    ) async throws -> JSON {
        try await callTool(name, arguments, id: id, attributes: attributes, data: data, metadata: metadata) {
            ToolResult(try await body($0))
        }.result
    }

    /// Calls a tool whose result has an annotation.
    @discardableResult
    // A closure that returns neither, because it throws, is one of the other kind.
    @_disfavoredOverload
    public func callTool(
        _ name: String, _ arguments: JSON = .null, id: String? = nil, attributes: [ToolAttribute] = [],
        data: JSON = .null, metadata: JSON = .null, _ body: @escaping @Sendable (JSON) async throws -> ToolResult
    ) async throws -> ToolResult {
        let call = ManagedCall(
            .tool, name, uuid: makeUUID(), parent: frame, attributes: attributes.map(\.rawValue), data: data,
            metadata: metadata)
        let guardrails = registered(\.toolGuardrails).map { entry in
            (name: entry.name, decide: { @Sendable in try await entry.value.body(name, arguments) })
        }
        var arguments = arguments
        let guarded = try await askGuardrails(of: call, guardrails) { .tool(arguments: arguments.value) }
        if case .rewritten(.tool(let rewritten)) = guarded { arguments = JSON(rewritten) }
        for intercept in registered(\.toolRequestIntercepts) {
            arguments = try await intercept.value.body(name, arguments)
            if intercept.value.breaksChain { break }
        }

        var machine = ToolCallMachine(call, callID: id)
        let published = sanitized(arguments, name: name, \.toolRequestSanitizers)
        publish(
            machine.started(
                arguments: arguments, published: published, at: runtime.clock.now(), makeUUID: makeUUID))
        do {
            let outcome = try await execute(call, arguments, body)
            let result = sanitized(outcome.result, name: name, \.toolResponseSanitizers)
            publish(
                machine.succeeded(
                    result: result, annotation: outcome.annotation, marks: outcome.marks, at: runtime.clock.now(),
                    makeUUID: makeUUID))
            return ToolResult(outcome.result, annotation: outcome.annotation)
        } catch {
            publish(machine.failed(CallFailure(error, isCancelled: Task.isCancelled), at: runtime.clock.now()))
            throw error
        }
    }

    private func execute(
        _ call: ManagedCall, _ arguments: JSON, _ body: @escaping @Sendable (JSON) async throws -> ToolResult
    ) async throws -> ToolOutcome {
        let chain = registered(\.toolExecutionIntercepts)
        let position = AgentRuntime.Position(scope: self, call: call.uuid)
        return try await AgentRuntime.$position.withValue(position) {
            try await AgentScope.execute(chain[...], call.name, arguments, body)
        }
    }

    /// Runs the first intercept of a chain around the rest of it.
    @Sendable
    private static func execute(
        _ chain: ArraySlice<Registry<ToolExecutionIntercept>.Entry>, _ name: String, _ arguments: JSON,
        _ body: @escaping @Sendable (JSON) async throws -> ToolResult
    ) async throws -> ToolOutcome {
        guard let intercept = chain.first else { return ToolOutcome(try await body(arguments)) }
        let lease = ContinuationLease()
        defer { lease.revoke() }
        let downstream = DownstreamMarks()
        let rest = chain.dropFirst()
        let next = ToolNext { arguments in
            try lease.check()
            let place = downstream.reserve()
            let outcome = try await execute(rest, name, arguments, body)
            downstream.fill(place, outcome.marks)
            return ToolResult(outcome.result, annotation: outcome.annotation)
        }
        var outcome = try await intercept.value.body(name, arguments, next)
        outcome.marks = downstream.ordered + outcome.marks
        return outcome
    }
}

// MARK: Calls that somebody else has made

extension AgentScope {
    /// Publishes a tool call that has been made without AgentKit: start and end, now. Sanitizers run; guardrails and intercepts do not. The
    /// end does not say how it went, unless `metadata` does.
    ///
    /// - Returns: the identity of the call.
    @discardableResult
    public func recordTool(
        _ name: String, _ arguments: JSON = .null, result: JSON, annotation: JSON = .null, id: String? = nil,
        attributes: [ToolAttribute] = [], metadata: JSON = .null
    ) -> EventUUID {
        let call = ManagedCall(
            .tool, name, uuid: makeUUID(), parent: frame, attributes: attributes.map(\.rawValue), metadata: metadata)
        var machine = ToolCallMachine(call, callID: id)
        let asked = sanitized(arguments, name: name, \.toolRequestSanitizers)
        publish(machine.started(arguments: arguments, published: asked, at: runtime.clock.now(), makeUUID: makeUUID))
        let answered = sanitized(result, name: name, \.toolResponseSanitizers)
        publish(machine.recorded(result: answered, annotation: annotation, at: runtime.clock.now()))
        return call.uuid
    }
}
