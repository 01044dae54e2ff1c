internal import ATOF

/// What an event is to `pii_redaction` (`middleware-guardrails-pii.md` 8.4).
enum EventSurface: Sendable, Hashable {
    case mark
    case scopeStart, scopeEnd
    case toolStart, toolEnd
    case modelStart, modelEnd

    init(_ event: Event) {
        let isStart = event.kind == .scopeStart
        switch (event.isMark, event.category?.known) {
        case (true, _): self = .mark
        case (false, .tool?): self = isStart ? .toolStart : .toolEnd
        case (false, .llm?): self = isStart ? .modelStart : .modelEnd
        case (false, _): self = isStart ? .scopeStart : .scopeEnd
        }
    }
}

extension PIIRedaction.Surfaces {
    /// What is neither a tool nor a model call is looked at as soon as either of them is.
    func cover(_ surface: EventSurface) -> Bool {
        switch surface {
        case .mark: mark
        case .scopeStart: input || toolInput
        case .scopeEnd: output || toolOutput
        case .toolStart: toolInput
        case .toolEnd: toolOutput
        case .modelStart: input
        case .modelEnd: output
        }
    }
}
