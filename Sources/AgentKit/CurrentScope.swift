/// Opens a scope below the current one of this task, of the current runtime.
@discardableResult
public func withScope<Result>(
    _ type: ScopeType, _ name: String, input: JSON = .null, metadata: JSON = .null,
    attributes: [ScopeAttribute] = [], isolation: isolated (any Actor)? = #isolation,
    _ body: (AgentScope) async throws -> Result
) async rethrows -> Result {
    try await AgentRuntime.current.withScope(
        type, name, input: input, metadata: metadata, attributes: attributes, isolation: isolation, body)
}

/// Opens a scope around work that does not wait.
@discardableResult
public func withScope<Result>(
    _ type: ScopeType, _ name: String, input: JSON = .null, metadata: JSON = .null,
    attributes: [ScopeAttribute] = [], _ body: (AgentScope) throws -> Result
) rethrows -> Result {
    try AgentRuntime.current.withScope(type, name, input: input, metadata: metadata, attributes: attributes, body)
}

/// Notes that something happened in the current scope.
public func mark(_ name: String, data: JSON = .null, metadata: JSON = .null, schema: EventSchema? = nil) {
    AgentRuntime.current.currentScope.mark(name, data: data, metadata: metadata, schema: schema)
}

/// Notes that something happened in the current scope, and how serious it is.
public func mark(
    _ name: String, severity: Severity, data: JSON = .null, metadata: [String: JSON] = [:], schema: EventSchema? = nil
) {
    AgentRuntime.current.currentScope.mark(name, severity: severity, data: data, metadata: metadata, schema: schema)
}

/// Publishes measurements in the current scope, all or none.
///
/// - Throws: `AgentKitError` that names the first measurement that is wrong.
public func metrics(_ name: String, _ measurements: [MetricMeasurement], metadata: JSON = .null) throws(AgentKitError) {
    try AgentRuntime.current.currentScope.metrics(name, measurements, metadata: metadata)
}

/// Calls a tool in the current scope; see `AgentScope`.
@discardableResult
public func callTool(
    _ name: String, _ arguments: JSON = .null, id: String? = nil, attributes: [ToolAttribute] = [],
    data: JSON = .null, metadata: JSON = .null, _ body: @escaping @Sendable (JSON) async throws -> JSON
) async throws -> JSON {
    try await AgentRuntime.current.startingScope.callTool(
        name, arguments, id: id, attributes: attributes, data: data, metadata: metadata, body)
}

/// Calls a tool whose result has an annotation, in the current scope; see `AgentScope`.
@discardableResult
@_disfavoredOverload
public func callTool(
    _ name: String, _ arguments: JSON = .null, id: String? = nil, attributes: [ToolAttribute] = [],
    data: JSON = .null, metadata: JSON = .null, _ body: @escaping @Sendable (JSON) async throws -> ToolResult
) async throws -> ToolResult {
    try await AgentRuntime.current.startingScope.callTool(
        name, arguments, id: id, attributes: attributes, data: data, metadata: metadata, body)
}

/// Calls a model in the current scope; see `AgentScope`.
@discardableResult
public func callModel(
    _ name: String, _ request: ModelRequest, model: String? = nil, codec: ModelCodec? = nil,
    attributes: [ModelAttribute] = [], data: JSON = .null, metadata: JSON = .null,
    _ body: @escaping @Sendable (ModelRequest) async throws -> JSON
) async throws -> JSON {
    try await AgentRuntime.current.startingScope.callModel(
        name, request, model: model, codec: codec, attributes: attributes, data: data, metadata: metadata, body)
}

/// Calls a model whose request and response have different interfaces, in the current scope; see `AgentScope`.
@discardableResult
public func callModel(
    _ name: String, _ request: ModelRequest, model: String? = nil, requestCodec: ModelCodec?,
    responseCodec: ModelCodec?, attributes: [ModelAttribute] = [], data: JSON = .null, metadata: JSON = .null,
    _ body: @escaping @Sendable (ModelRequest) async throws -> JSON
) async throws -> JSON {
    try await AgentRuntime.current.startingScope.callModel(
        name, request, model: model, requestCodec: requestCodec, responseCodec: responseCodec, attributes: attributes,
        data: data, metadata: metadata, body)
}

/// Calls a model that streams, in the current scope; see `AgentScope`.
public func streamModel(
    _ name: String, _ request: ModelRequest, model: String? = nil, codec: ModelCodec? = nil,
    attributes: [ModelAttribute] = [], metadata: JSON = .null, finalize: (@Sendable ([JSON]) -> JSON)? = nil,
    _ body: @escaping @Sendable (ModelRequest) async throws -> ModelChunks
) async throws -> ModelStream {
    try await AgentRuntime.current.startingScope.streamModel(
        name, request, model: model, codec: codec, attributes: attributes, metadata: metadata, finalize: finalize, body)
}

/// Tells what was saved in the model call that runs around this task; see `RunningModelCall`.
///
/// - Returns: whether it was taken; false where no model call runs.
@discardableResult
public func recordOptimization(_ contribution: JSON) -> Bool {
    AgentRuntime.currentModelCall?.recordOptimization(contribution) ?? false
}
