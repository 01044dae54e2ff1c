internal import ATOF
internal import LLMCodecs

/// What a model call's event says of the codec with which it was annotated (`middleware-guardrails-pii.md` 8.4).
///
/// The reference knows it. Here a call had one exactly if it came with an annotation; which one, the annotation says, and for the surface
/// whose annotations do not say it the body.
struct CallAnnotation {
    enum Codec: Hashable {
        case none
        case surface(Surface)
        /// Somebody's own, or none that can be told.
        case unknown
    }

    let key: String
    let codec: Codec
    private let compatibility: Compatibility

    init(of event: Event, _ compatibility: Compatibility) {
        self.compatibility = compatibility
        let isStart = event.kind == .scopeStart
        key = isStart ? "annotated_request" : "annotated_response"
        let word: StaticString = isStart ? "annotated_request" : "annotated_response"
        guard event.categoryProfile?.mayContain(word) == true,
            let annotation = event.categoryProfile?.value[key]?.objectValue
        else {
            codec = .none
            return
        }
        if let api = annotation["api_specific"]?["api"]?.stringValue {
            codec = Surface(rawValue: api).map { .surface($0) } ?? .unknown
            return
        }
        let data = event.data?.value
        let surface =
            isStart
            ? data?["content"]?.objectValue.flatMap { Surface.ofRequest($0, hint: event.name) }
            : data?.objectValue.flatMap(Surface.ofResponse)
        // Gemini's annotations need not say whose they are; all others do.
        codec = .surface(surface ?? .gemini)
    }

    var surface: Surface? { if case .surface(let surface) = codec { surface } else { nil } }

    /// The annotation as the steps before have left it.
    func current(in draft: EventDraft) -> JSONObject? { draft.categoryProfile?[key]?.objectValue }

    func replace(_ annotation: JSONObject?, in draft: inout EventDraft) {
        guard var profile = draft.categoryProfile?.objectValue else { return }
        profile[key] = annotation.map { .object($0) }
        draft.categoryProfile = .object(profile)
    }

    /// The annotation that the call's codec makes of a payload; nil when it makes none.
    func decode(_ data: JSONValue?, with surface: Surface) -> JSONObject? {
        guard let data else { return nil }
        if key == "annotated_request" {
            return data["content"].flatMap { try? surface.decodeRequest($0, compatibility) }?.annotation
        }
        return (try? surface.decodeResponse(data, compatibility))?.annotation
    }

    /// What of an annotation no codec decodes: the runtime adds it.
    private static let added = ["optimization_summary"]

    /// Whether the annotation is what the codec makes of the payload, but for what the runtime adds.
    func isDecoded(_ annotation: JSONObject, from data: JSONValue?) -> Bool {
        guard let surface, let decoded = decode(data, with: surface) else { return false }
        return CallAnnotation.core(annotation) == CallAnnotation.core(decoded)
    }

    private static func core(_ annotation: JSONObject) -> JSONObject {
        var core = annotation
        for key in added { core[key] = nil }
        if var usage = core["usage"]?.objectValue, usage["cost"]?["source"] == "model_pricing" {
            usage["cost"] = nil
            core["usage"] = .object(usage)
        }
        return core
    }

    private static let amounts: Set<String> = ["total", "input", "output", "cache_read", "cache_write"]

    /// Three letters (ISO 4217).
    static func isCurrency(_ text: String) -> Bool {
        text.utf8.count == 3 && text.utf8.allSatisfy { (0x61...0x7A).contains($0 | 0x20) }
    }

    /// The members of an estimate, and nothing that somebody else has put beside them.
    private static func known(_ cost: JSONValue) -> JSONObject {
        var known = JSONObject()
        for member in cost.objectValue ?? JSONObject() {
            let isKnown =
                switch member.value {
                case .int, .unsigned, .double: amounts.contains(member.key)
                case .string(let text):
                    switch member.key {
                    case "source", "pricing_provider", "pricing_model", "pricing_as_of", "pricing_source": true
                    case "currency": isCurrency(text)
                    default: false
                    }
                case .null, .bool, .array, .object: false
                }
            if isKnown { known[member.key] = member.value }
        }
        return known
    }

    /// A decoded annotation with what the runtime had added to the one before.
    static func completed(_ decoded: JSONObject, from earlier: JSONObject) -> JSONObject {
        var result = decoded
        for key in added { result[key] = earlier[key] ?? result[key] }
        if let cost = earlier["usage"]?["cost"], cost["source"] == "model_pricing",
            var usage = result["usage"]?.objectValue, usage["cost"] == nil
        {
            usage["cost"] = .object(known(cost))
            result["usage"] = .object(usage)
        }
        return result
    }
}
