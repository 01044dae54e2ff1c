internal import ATOF

/// Reads NeMo Relay's `adaptive` component: of it a collector learns, and answers with hints (`adaptive.md` 2).
///
/// What is learned is kept in the bucket `skein_state`, whatever `state.backend` says; without `state` nothing is, as in the reference.
struct AdaptiveReader {
    /// They change calls as they are made, which only their own process can.
    private static let ofProducers = ["tool_parallelism", "acg", "response_cache"]

    static func read(_ component: inout Component) {
        var section = component.section()
        if let version = section.number("version", UInt32.self), version != 1 {
            section.complain("version", "is \(version), must be 1", code: "unsupported_config_version")
        }
        // How agents name themselves is in their events.
        _ = section.string("agent_id")
        var settings = AdaptiveSettings()
        let hasState = readState(&section, component.policies.unknownComponent)
        if var telemetry = section.section("telemetry") {
            _ = telemetry.string("subscriber_name")
            let learners = telemetry.strings("learners") ?? []
            section.finish(telemetry)
            if hasState {
                settings.learnsLatency = learners.contains("latency_sensitivity")
            } else {
                section.report(
                    .warning, "section_disabled_missing_state", "telemetry", "needs state; it is left out without")
            }
        }
        if var hints = section.section("adaptive_hints") {
            // Of the agent's own chain, and the places that are fixed.
            _ = hints.number("priority", Int32.self)
            _ = hints.bool("break_chain")
            _ = hints.bool("inject_header")
            _ = hints.string("inject_body_path")
            section.finish(hints)
            settings.answersHints = true
        }
        for key in ofProducers where section.raw(key)?.nonNull != nil {
            section.report(.warning, "unsupported_section", key, "acts in the agents' processes; it has no effect here")
        }
        component.finish(section, governsEvents: false)
        if component.isEnabled { component.configuration.adaptive = settings }
    }

    private static func readState(_ section: inout ConfigurationSection, _ policy: DiagnosticPolicy) -> Bool {
        guard var state = section.section("state") else { return false }
        if var backend = state.section("backend") {
            if let kind = backend.string("kind"), kind != "in_memory", kind != "redis", let level = policy.level {
                backend.report(level, "unknown_backend", "kind", "is \"\(kind)\", must be in_memory or redis")
            }
            _ = backend.object("config")
            state.finish(backend)
        }
        section.finish(state)
        return true
    }
}

/// What a collector does for the `adaptive` component.
package struct AdaptiveSettings: Sendable, Hashable {
    /// The stage `learn` runs.
    package var learnsLatency = false
    /// Agents are answered on `skein.v1.hint.<tenant>`.
    package var answersHints = false

    package init(learnsLatency: Bool = false, answersHints: Bool = false) {
        self.learnsLatency = learnsLatency
        self.answersHints = answersHints
    }
}
