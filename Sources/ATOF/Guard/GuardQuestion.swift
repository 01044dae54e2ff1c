/// What an agent asks before it acts: may this call begin (`middleware-guardrails-pii.md` 4.1 and 5.1).
package struct GuardQuestion: Sendable, Hashable {
    /// The last token of the subject on which it is asked.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case tool
        case llm
    }

    /// What the call would be made with.
    package enum Call: Sendable, Hashable {
        case tool(arguments: JSONValue)
        case llm(headers: JSONObject, content: JSONValue)

        package var kind: Kind {
            switch self {
            case .tool: .tool
            case .llm: .llm
            }
        }
    }

    /// Of the tool, or of the LLM call.
    package var name: String
    package var call: Call
    package var agent: String?
    /// The root of the run.
    package var trajectory: EventUUID?
    /// The scope that the call would be a child of.
    package var parent: EventUUID?
    /// One for each call, the same when it is asked again.
    package var callID: String?

    package init(name: String, call: Call) {
        self.name = name
        self.call = call
    }

    /// The most bytes of a name, an agent or a call id.
    package static let maximumText = 256
}

/// A request or an answer that cannot be read: names the field, never its content.
package struct GuardMessageError: Error, Sendable, Hashable, CustomStringConvertible {
    package let field: String
    package let message: String

    init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }

    package var description: String { field.isEmpty ? message : "\(field): \(message)" }
}
