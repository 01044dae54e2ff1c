internal import ATOF
internal import AgentEvents
internal import LLMCodecs

extension AgentScope {
    /// Says that whoever waits for the model calls of this scope waits less well: from 1 to 5, the most of all open scopes counts, and over
    /// what was learned if it is more. It is part of the end event's metadata, and never lowered.
    ///
    /// It can be said at the start too: metadata `{"nemo_relay_adaptive": {"latency_sensitivity": 3}}`.
    public func raiseLatencySensitivity(to level: Int) {
        guard level >= 0 else { return }
        changeEndMetadata { metadata in
            var member = metadata[ManualSensitivity.key] ?? self.frame.metadata[ManualSensitivity.key] ?? .null
            let before = ManualSensitivity.level(of: member)
            guard before.map({ UInt32(clamping: level) > $0 }) ?? true else { return }
            member[ManualSensitivity.member] = JSON(UInt32(clamping: level))
            metadata[ManualSensitivity.key] = member
        }
    }

    /// What was set by hand on this scope and those around it.
    private var manualSensitivity: UInt32? {
        sequence(first: self, next: \.outer).compactMap { scope in
            [scope.frame.metadata, scope.endMetadata].compactMap {
                $0[ManualSensitivity.key].flatMap(ManualSensitivity.level)
            }.max()
        }.max()
    }

    /// The request intercept that asks for hints and writes them into the request (`adaptive.md` 5).
    func hintIntercept(_ hints: RemoteHints, for call: ManagedCall) -> Registry<ModelRequestIntercept>.Entry {
        let intercept = ModelRequestIntercept(breaksChain: false) { _, request, annotation in
            let question = self.hintQuestion(for: call)
            let learned = await hints.asker?.ask(question)
            let combined = AgentHints.combined(
                learned, manual: question.manualSensitivity, prefixID: question.prefixID)
            guard let combined else { return ModelRequestOutcome(request, annotation: annotation) }
            return combined.injected(into: request, annotation)
        }
        return Registry.Entry(name: RemoteHints.name, priority: hints.priority, value: intercept)
    }

    private func hintQuestion(for call: ManagedCall) -> HintQuestion {
        let path = frame.hintPath
        return HintQuestion(
            agent: path.agent ?? AgentHints.unnamedAgent, scopePath: path.names,
            callName: call.name.prefix(utf8Count: HintQuestion.maximumName),
            callIndex: run.nextCallIndex(of: call.name, below: frame), manualSensitivity: manualSensitivity,
            run: frame.run)
    }
}

/// Where scopes carry what was set by hand.
private enum ManualSensitivity {
    static let key = "nemo_relay_adaptive"
    static let member = "latency_sensitivity"

    static func level(of metadata: JSON) -> UInt32? {
        metadata[member]?.intValue.flatMap { $0 < 0 ? nil : UInt32(clamping: $0) }
    }
}

extension ScopeFrame {
    /// The names of the open scopes of agents and functions from the outermost inwards, and that of the outermost agent.
    fileprivate var hintPath: (names: [String], agent: String?) {
        var names: [String] = []
        var agent: String?
        for frame in sequence(first: self, next: \.outer) where frame.origin == .explicit {
            guard frame.isAgent || frame.category == ScopeType.function.rawValue else { continue }
            let name = frame.name.prefix(utf8Count: HintQuestion.maximumName)
            names.append(name)
            if frame.isAgent { agent = name }
        }
        return (names.reversed().prefix(HintQuestion.maximumDepth).map(\.self), agent)
    }
}

extension AgentHints {
    /// In the header always; in the body by way of the annotation where there is one. What is there and no object stays.
    fileprivate func injected(into request: ModelRequest, _ annotation: JSON?) -> ModelRequestOutcome {
        var request = request
        request.replaceHeader(RemoteHints.header, with: JSON(json))
        guard var annotation else {
            if request.content.value.objectValue != nil { inject(into: &request.content) }
            return ModelRequestOutcome(request)
        }
        inject(into: &annotation)
        return ModelRequestOutcome(request, annotation: annotation)
    }

    private func inject(into body: inout JSON) {
        var extensions = body["nvext"] ?? [:]
        guard extensions.value.objectValue != nil else { return }
        extensions["agent_hints"] = JSON(json)
        body["nvext"] = extensions
    }
}
