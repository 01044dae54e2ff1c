/// What a scope is about; published as the event's category.
public enum ScopeType: String, Sendable, Hashable, CaseIterable {
    case agent, function, tool, llm, retriever, embedder, reranker, guardrail, evaluator, custom, unknown
}

/// Attributes of scopes.
public enum ScopeAttribute: String, Sendable, Hashable {
    case parallel, relocatable
}

/// Attributes of tool calls.
public enum ToolAttribute: String, Sendable, Hashable {
    case remote
}

/// Attributes of model calls.
public enum ModelAttribute: String, Sendable, Hashable {
    case stateful, streaming
}
