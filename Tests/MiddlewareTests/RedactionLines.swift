import ATOF
import LLMCodecs
import Middleware

/// What a chain of settings makes of events that are written as JSON.
enum RedactionLines {
    static func event(_ members: JSONValue) throws -> Event {
        var object = members.objectValue ?? JSONObject()
        for (key, value) in [
            ("kind", "scope"), ("atof_version", "0.1"), ("uuid", "018f0000-0000-7000-8000-000000000001"), ("name", "n"),
            ("timestamp", "2026-01-01T00:00:00Z"), ("category", "tool"),
        ] as [(String, JSONValue)] where object[key] == nil {
            object[key] = value
        }
        if object["kind"] == "scope" {
            object["scope_category"] = object["scope_category"] ?? "start"
            object["attributes"] = object["attributes"] ?? []
        }
        var writer = EventBatchWriter()
        writer.append(packed: try EventJSONDecoder.decode(Array(JSONValue.object(object).compactText.utf8)).packed())
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    static func chain(
        _ builtins: [BuiltinRedaction] = [], codec: Surface? = nil, surfaces: PIIRedaction.Surfaces = .init(),
        metadata: MetadataInjection? = nil, pricing: PricingSources = .init(), _ compatibility: Compatibility = .skein
    ) throws -> MiddlewareChain {
        var settings = MiddlewareSettings()
        settings.metadata = metadata
        if !builtins.isEmpty {
            var redaction = PIIRedaction()
            redaction.codec = codec
            redaction.surfaces = surfaces
            redaction.profiles = builtins.enumerated().map { index, builtin in
                var profile = PIIRedaction.Profile()
                profile.index = index
                profile.builtin = builtin
                return profile
            }
            settings.piiRedaction = redaction
        }
        return try MiddlewareChain(
            settings, pricing: pricing, facts: CollectorFacts(collector: "host", version: "1.2.3"), compatibility)
    }

    /// The event behind the chain.
    static func apply(_ chain: MiddlewareChain, to event: Event, tenant: String = "acme") throws -> Event {
        var chain = chain
        var notes = ChainNotes()
        switch chain.apply(event, tenant: tenant, &notes) {
        case .unchanged, .dropped: return event
        case .changed(let packed):
            var writer = EventBatchWriter()
            writer.append(packed: packed)
            return try EventBatch(unpacking: writer.bytes).event(at: 0)
        }
    }

    static func email(_ action: BuiltinRedaction.Action = .redact, paths: [String] = []) -> BuiltinRedaction {
        var builtin = BuiltinRedaction()
        builtin.action = action
        builtin.matcher = .detector(.email)
        builtin.targetPaths = paths
        return builtin
    }
}
