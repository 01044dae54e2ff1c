/// What a scope is about; published as the event's category.
public enum ScopeType: String, Sendable, Hashable, CaseIterable {
    /// An agent: it owns a history and a session, and becomes a trajectory.
    case agent
    /// A piece of the program.
    case function
    /// A tool call that is published by hand; `callTool` does it for its own.
    case tool
    /// A model call that is published by hand; `callModel` does it for its own.
    case llm
    /// A search for documents.
    case retriever
    /// The making of embeddings.
    case embedder
    /// A reordering of what was found.
    case reranker
    /// The evaluation of a guardrail.
    case guardrail
    /// The evaluation of a result.
    case evaluator
    /// Something of your own.
    case custom
    /// Something of which nobody says what it is.
    case unknown
}

/// Attributes of scopes.
public enum ScopeAttribute: String, Sendable, Hashable {
    /// It runs beside others.
    case parallel
    /// It may go on in another process.
    case relocatable
}

/// Attributes of tool calls.
public enum ToolAttribute: String, Sendable, Hashable {
    /// The tool runs elsewhere.
    case remote
}

/// Attributes of model calls.
public enum ModelAttribute: String, Sendable, Hashable {
    /// The provider keeps the conversation.
    case stateful
    /// The response comes in chunks; `streamModel` says so by itself.
    case streaming
}
