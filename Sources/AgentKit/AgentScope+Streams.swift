internal import ATOF
internal import LLMCodecs

extension AgentScope {
    /// Calls a model whose response comes in chunks. The stages up to the start event are those of `callModel`; each chunk is noted, and
    /// the call ends with the stream: at its end, with its error, or when the consumer stops (`middleware-guardrails-pii.md` 5.4).
    ///
    /// - Parameters:
    ///   - codec: the interface of request and response. With it the chunks are put together for the end event.
    ///   - finalize: makes what the end event has as data out of the chunks; they are kept for it. Without it, and without a codec, the
    ///     end has none.
    ///   - body: opens the stream.
    /// - Returns: the chunks. Not to go on with them to their end is how a consumer stops.
    /// - Throws: what the provider or an intercept throws while the stream is opened; `AgentKitError` when a guardrail rejects.
    public func streamModel(
        _ name: String, _ request: ModelRequest, model: String? = nil, codec: ModelCodec? = nil,
        attributes: [ModelAttribute] = [], metadata: JSON = .null,
        finalize: (@Sendable ([JSON]) -> JSON)? = nil,
        _ body: @escaping @Sendable (ModelRequest) async throws -> ModelChunks
    ) async throws -> ModelStream {
        let attributes = Set(attributes).union([.streaming]).map(\.rawValue)
        let call = ManagedCall(
            .llm, name, uuid: makeUUID(), parent: frame, attributes: attributes, metadata: metadata)
        let (running, live) = try await prepare(call, request, model: model, codec, codec)
        let sent = runtime.clock.elapsed()
        do {
            let chain = registered(\.modelStreamIntercepts)
            let leases = chain.map { _ in ContinuationLease() }
            let position = AgentRuntime.Position(scope: self, call: call.uuid, modelCall: running)
            let chunks: ModelChunks
            do {
                chunks = try await AgentRuntime.$position.withValue(position) {
                    try await AgentScope.open(chain[...], leases[...], name, live, body)
                }
            } catch {
                for lease in leases { lease.revoke() }
                throw error
            }
            let body = StreamBody(codec?.surface.makeAggregator(), finalize: finalize)
            return ModelStream(chunks: chunks, state: StreamState(running, body, sent: sent, leases: leases))
        } catch {
            let failure = CallFailure(error, isCancelled: Task.isCancelled)
            running.end { machine, now in machine.failed(failure, partial: nil, at: now) }
            throw error
        }
    }

    @Sendable
    private static func open(
        _ chain: ArraySlice<Registry<ModelStreamIntercept>.Entry>, _ leases: ArraySlice<ContinuationLease>,
        _ name: String, _ request: ModelRequest, _ body: @escaping @Sendable (ModelRequest) async throws -> ModelChunks
    ) async throws -> ModelChunks {
        guard let intercept = chain.first, let lease = leases.first else { return try await body(request) }
        let (rest, others) = (chain.dropFirst(), leases.dropFirst())
        let next = ModelStreamNext { request in
            try lease.check()
            return try await open(rest, others, name, request, body)
        }
        return try await intercept.value.body(name, request, next)
    }
}
