/// What a tool returns.
public struct ToolResult: Sendable, Hashable {
    /// What the caller gets.
    public var result: JSON
    /// About the result, for those who read events; null is none.
    public var annotation: JSON

    /// A result and its annotation.
    public init(_ result: JSON, annotation: JSON = .null) {
        self.result = result
        self.annotation = annotation
    }
}

/// What an execution intercept returns.
public struct ToolOutcome: Sendable, Hashable {
    /// What the caller gets.
    public var result: JSON
    /// About the result, for those who read events.
    public var annotation: JSON
    /// Published behind the end of the call, if it succeeds.
    public var marks: [PendingMark]

    /// A result with what is told about it.
    public init(_ result: JSON, annotation: JSON = .null, marks: [PendingMark] = []) {
        self.result = result
        self.annotation = annotation
        self.marks = marks
    }

    /// What `next` returned, with marks.
    public init(_ result: ToolResult, marks: [PendingMark] = []) {
        self.init(result.result, annotation: result.annotation, marks: marks)
    }
}

/// The rest of a tool call: the intercepts further in, and the tool.
public struct ToolNext: Sendable {
    let call: @Sendable (JSON) async throws -> ToolResult

    /// - Throws: what the tool throws; and `AgentKitError` once the intercept that got this has returned.
    public func callAsFunction(_ arguments: JSON) async throws -> ToolResult { try await call(arguments) }
}
