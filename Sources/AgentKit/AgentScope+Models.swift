internal import ATOF

extension AgentScope {
    /// Calls a model and waits for the whole response: guardrails, request intercepts, the start event, execution intercepts around
    /// the provider, and an end event for every way in which it ends (`middleware-guardrails-pii.md` 5).
    ///
    /// - Parameters:
    ///   - name: of the call, usually the provider's.
    ///   - model: published as `model_name`.
    ///   - codec: the interface of request and response: events then have the normalised forms.
    ///   - data: what the end event has when there is no response.
    ///   - body: sends the request, which has a `traceparent` header now, and returns the response.
    /// - Returns: what the provider returned, not what was published of it.
    /// - Throws: what the provider or an intercept throws; `AgentKitError` when a guardrail rejects.
    @discardableResult
    public func callModel(
        _ name: String, _ request: ModelRequest, model: String? = nil, codec: ModelCodec? = nil,
        attributes: [ModelAttribute] = [], data: JSON = .null, metadata: JSON = .null,
        _ body: @escaping @Sendable (ModelRequest) async throws -> JSON
    ) async throws -> JSON {
        try await callModel(
            name, request, model: model, requestCodec: codec, responseCodec: codec, attributes: attributes, data: data,
            metadata: metadata, body)
    }

    /// Calls a model whose request and response have different interfaces, or of which only one is to be read.
    @discardableResult
    public func callModel(
        _ name: String, _ request: ModelRequest, model: String? = nil, requestCodec: ModelCodec?,
        responseCodec: ModelCodec?, attributes: [ModelAttribute] = [], data: JSON = .null, metadata: JSON = .null,
        _ body: @escaping @Sendable (ModelRequest) async throws -> JSON
    ) async throws -> JSON {
        let call = ManagedCall(
            .llm, name, uuid: makeUUID(), parent: frame, attributes: attributes.map(\.rawValue), data: data,
            metadata: metadata)
        let (running, live) = try await prepare(call, request, model: model, requestCodec, responseCodec)
        do {
            let chain = registered(\.modelExecutionIntercepts)
            let position = AgentRuntime.Position(scope: self, call: call.uuid, modelCall: running)
            let response = try await AgentRuntime.$position.withValue(position) {
                try await AgentScope.execute(chain[...], name, live, body)
            }
            let published = sanitized(
                response, name: name, \.modelResponseSanitizers, through: running.registrations)
            running.end { machine, now in machine.succeeded(response: published, at: now) }
            return response
        } catch {
            let partial =
                data.isNull
                ? nil : sanitized(data, name: name, \.modelResponseSanitizers, through: running.registrations)
            let failure = CallFailure(error, isCancelled: Task.isCancelled)
            running.end { machine, now in machine.failed(failure, partial: partial, at: now) }
            throw error
        }
    }

    @Sendable
    private static func execute(
        _ chain: ArraySlice<Registry<ModelExecutionIntercept>.Entry>, _ name: String, _ request: ModelRequest,
        _ body: @escaping @Sendable (ModelRequest) async throws -> JSON
    ) async throws -> JSON {
        guard let intercept = chain.first else { return try await body(request) }
        let lease = ContinuationLease()
        defer { lease.revoke() }
        let rest = chain.dropFirst()
        let next = ModelNext { request in
            try lease.check()
            return try await execute(rest, name, request, body)
        }
        return try await intercept.value.body(name, request, next)
    }

    /// Everything up to the start event, and that.
    ///
    /// - Returns: the call, and the request that goes to the provider.
    func prepare(
        _ call: ManagedCall, _ request: ModelRequest, model: String?, _ requestCodec: ModelCodec?,
        _ responseCodec: ModelCodec?
    ) async throws -> (running: RunningModelCall, request: ModelRequest) {
        let guardrails = registered(\.modelGuardrails).map { entry in
            (name: entry.name, decide: { @Sendable in try await entry.value.body(request) })
        }
        var request = request
        let guarded = try await askGuardrails(of: call, guardrails) {
            // The collectors get no credentials either.
            let observed = ObservedModelRequest(request, codec: nil).request ?? request
            return .llm(headers: observed.headerMembers, content: observed.content.value)
        }
        if case .rewritten(.llm(let headers, let content)) = guarded { request.rewrite(headers, content) }

        var draft = try ModelRequestDraft(request, codec: requestCodec?.surface)
        var intercepts = registered(\.modelRequestIntercepts)
        if let hints = runtime.settings.hints {
            let place = intercepts.firstIndex { $0.priority > hints.priority } ?? intercepts.endIndex
            intercepts.insert(hintIntercept(hints, for: call), at: place)
        }
        for intercept in intercepts {
            let outcome = try await intercept.value.body(call.name, draft.request, draft.annotation)
            try draft.apply(outcome, of: intercept.name)
            if intercept.value.breaksChain { break }
        }
        var (live, observed) = try draft.finished(for: call)
        let sanitizers = registered(\.modelRequestSanitizers)
        if !sanitizers.isEmpty, let copy = observed.request {
            observed.sanitize(AgentScope.sanitized(copy, sanitizers))
        }
        let isFresh = run.takesHistory(below: frame)
        if !isFresh, !runtime.settings.publishesFullHistory { observed.leaveOutToldHistory() }

        var machine = ModelCallMachine(call, model: model, codec: responseCodec?.surface)
        publish(
            machine.started(
                observed, marks: draft.marks, optimizations: draft.optimizations, at: runtime.clock.now(),
                makeUUID: makeUUID))
        return (RunningModelCall(machine, scope: self, registrations: registrations), live)
    }

    private static func sanitized(
        _ request: ModelRequest, _ sanitizers: [Registry<AgentMiddleware.RequestSanitizer>.Entry]
    ) -> ModelRequest? {
        var request = request
        for sanitizer in sanitizers {
            guard let next = try? sanitizer.value(request) else { return nil }
            request = next
        }
        return request
    }

    // MARK: Calls that somebody else has made

    /// Publishes a model call that has been made without AgentKit: start and end, now. Sanitizers run; guardrails and intercepts do not.
    ///
    /// - Returns: the identity of the call.
    @discardableResult
    public func recordModel(
        _ name: String, _ request: ModelRequest, response: JSON, model: String? = nil, codec: ModelCodec? = nil,
        attributes: [ModelAttribute] = [], metadata: JSON = .null
    ) -> EventUUID {
        let call = ManagedCall(
            .llm, name, uuid: makeUUID(), parent: frame, attributes: attributes.map(\.rawValue), metadata: metadata)
        var observed = ObservedModelRequest(request, codec: codec?.surface)
        let sanitizers = registered(\.modelRequestSanitizers)
        if !sanitizers.isEmpty, let copy = observed.request {
            observed.sanitize(AgentScope.sanitized(copy, sanitizers))
        }
        let isFresh = run.takesHistory(below: frame)
        if !isFresh, !runtime.settings.publishesFullHistory { observed.leaveOutToldHistory() }
        var machine = ModelCallMachine(call, model: model, codec: codec?.surface)
        publish(machine.started(observed, at: runtime.clock.now(), makeUUID: makeUUID))
        let published = sanitized(response, name: name, \.modelResponseSanitizers)
        publish(machine.succeeded(response: published, at: runtime.clock.now()))
        return call.uuid
    }
}

extension ModelRequest {
    /// Takes what the collectors have made of it. Credentials were not sent to them, and stay.
    fileprivate mutating func rewrite(_ headers: JSONObject, _ content: JSONValue) {
        self.content = JSON(content)
        var observed = self
        observed = ObservedModelRequest(observed, codec: nil).request ?? observed
        let told = Set(observed.headerMembers.keys)
        var merged = JSONObject(headerMembers.filter { !told.contains($0.key) }.map { ($0.key, $0.value) })
        for header in headers { merged[header.key] = header.value }
        headerMembers = merged
    }
}
