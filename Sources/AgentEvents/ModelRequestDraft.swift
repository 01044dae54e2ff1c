internal import ATOF
package import LLMCodecs

/// A model request on its way through the request intercepts, and the rules that they are held to
/// (`middleware-guardrails-pii.md` 5.1).
package struct ModelRequestDraft: Sendable {
    package private(set) var request: ModelRequest
    package private(set) var annotation: JSON?
    package private(set) var marks: [PendingMark] = []
    package private(set) var optimizations: [JSON] = []

    private let codec: Surface?
    private let baseline: NormalizedRequest?
    private let content: JSONValue?

    /// - Throws: `AgentKitError` when the codec cannot read the request: the call does not begin.
    package init(_ request: ModelRequest, codec: Surface?) throws(AgentKitError) {
        self.request = request
        self.codec = codec
        guard let codec else {
            baseline = nil
            content = nil
            return
        }
        let content = request.content.value
        do throws(CodecError) {
            let decoded = try codec.decodeRequest(content)
            baseline = decoded
            annotation = JSON(.object(decoded.annotation))
        } catch {
            throw AgentKitError(error)
        }
        self.content = content
    }

    /// Takes what an intercept has returned.
    ///
    /// - Throws: `AgentKitError` when it broke the contract; the next one never sees such an outcome.
    package mutating func apply(_ outcome: ModelRequestOutcome, of intercept: String) throws(AgentKitError) {
        if let content {
            guard outcome.request.content.value == content else {
                throw AgentKitError(
                    .invalidArgument,
                    "LLM request intercept '\(intercept)' changed request.content while a request codec is active; "
                        + "modify annotated_request instead")
            }
            guard outcome.annotation != nil else {
                throw AgentKitError(
                    .invalidArgument,
                    "LLM request intercept '\(intercept)' omitted annotated_request while a request codec is active")
            }
        }
        request = outcome.request
        annotation = outcome.annotation
        marks += outcome.marks
        optimizations += outcome.optimizations
    }

    /// The request as it goes to the provider, and as it is observed: session headers, the edited body, and then, in the live request
    /// only, `traceparent`.
    ///
    /// - Throws: `AgentKitError` when the codec cannot write what was edited.
    package func finished(for call: ManagedCall) throws(AgentKitError) -> (
        live: ModelRequest, observed: ObservedModelRequest
    ) {
        var request = request
        SessionHeaders.set(in: &request, for: call.parent)
        if let codec, let baseline, let content, let annotation {
            do throws(CodecError) {
                guard let object = annotation.value.objectValue else {
                    throw CodecError(.invalidArgument, "annotated_request must be an object")
                }
                if object != baseline.annotation {
                    let edited = try NormalizedRequest(annotation: object)
                    request.content = JSON(try codec.encode(edited, baseline: baseline, body: content))
                }
            } catch {
                throw AgentKitError(error)
            }
        }
        var observed = request
        observed.removeCredentials()
        let root = call.parent.traceRoot ?? call.uuid
        request.replaceHeader(
            "traceparent", with: JSON(PropagationContext.traceparent(root: root, span: call.uuid)))
        return (request, ObservedModelRequest(request: observed, annotation: annotation, codec: codec))
    }
}

/// Headers that tell the provider's side which agent asks (`middleware-guardrails-pii.md` 5.1, step 4).
enum SessionHeaders {
    private static let session = "x-dynamo-session-id"
    private static let parent = "x-dynamo-parent-session-id"
    private static let identities = ["codex_subagent_session_id", "subagent_session_id", "subagent_id", "session_id"]

    /// Sets them for the innermost explicit agent; without one the request stays as it is.
    static func set(in request: inout ModelRequest, for parentScope: ScopeFrame) {
        var agents = parentScope.agents.makeIterator()
        guard let agent = agents.next() else { return }
        request.replaceHeader(session, with: JSON(identity(of: agent)))
        if let outer = agents.next() {
            request.replaceHeader(parent, with: JSON(identity(of: outer)))
        } else {
            request.headerMembers = JSONObject(
                request.headerMembers.filter { $0.key.asciiLowercased != parent }.map { ($0.key, $0.value) })
        }
    }

    private static func identity(of agent: ScopeFrame) -> String {
        if agent.metadata.isNull { return agent.name }
        let metadata = agent.metadata.value
        return identities.lazy.compactMap { metadata[$0]?.stringValue }.first ?? agent.name
    }
}
