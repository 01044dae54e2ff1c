internal import ATOF

/// Lifts chosen metadata keys to attributes of their own (`otel-projections.md` 2.6, 10).
struct MetadataPromotion {
    /// What may become attributes, in order of keys.
    let candidates: [Attribute]
    /// The metadata without `candidates`.
    let rest: JSONValue?

    private static let reserved = [
        "error.", "exception.", "gen_ai.", "input.", "llm.", "nemo_relay.", "openinference.", "output.", "server.",
        "service.",
        "session.", "tool.", "tool_call.", "user.",
    ]

    /// - Parameter isTaken: whether an attribute has that key anyway, so that the value stays in the metadata.
    init(
        metadata: JSONValue?, prefixes: [String], diagnostics: inout ProjectionDiagnostics,
        isTaken: (String) -> Bool = { _ in false }
    ) {
        guard !prefixes.isEmpty, case .object(let members) = metadata else {
            candidates = []
            rest = metadata
            return
        }
        var candidates: [Attribute] = []
        var rest: [(String, JSONValue)] = []
        for member in members {
            guard prefixes.contains(where: { member.key.hasPrefix($0) }) else {
                rest.append((member.key, member.value))
                continue
            }
            do throws(PromotionRefusal) {
                let attribute = Attribute(member.key, try MetadataPromotion.promoted(member.key, member.value))
                if isTaken(member.key) {
                    rest.append((member.key, member.value))
                } else {
                    candidates.append(attribute)
                }
            } catch {
                rest.append((member.key, member.value))
                diagnostics.record(
                    "otel.metadata_promotion_value_unsupported.\(member.key)",
                    "OpenTelemetry metadata attribute \"\(member.key)\" was not promoted: \(error.rawValue)")
            }
        }
        self.candidates = candidates
        self.rest = candidates.isEmpty ? metadata : .object(JSONObject(rest))
    }

    /// Leaves in the metadata what has a key that an attribute already has.
    func leaving(_ taken: Set<String>, in metadata: JSONValue?) -> MetadataPromotion {
        guard case .object(let members) = metadata else { return self }
        let kept = candidates.filter { !taken.contains($0.key) }
        let keys = Set(kept.map(\.key))
        return MetadataPromotion(
            candidates: kept,
            rest: .object(JSONObject(members.filter { !keys.contains($0.key) }.map { ($0.key, $0.value) })))
    }

    private init(candidates: [Attribute], rest: JSONValue?) {
        self.candidates = candidates
        self.rest = rest
    }

    private static func promoted(_ key: String, _ value: JSONValue) throws(PromotionRefusal) -> AttributeValue {
        if key == "metadata" || reserved.contains(where: { key.hasPrefix($0) }) { throw .reserved }
        switch value {
        case .null: throw .null
        case .object: throw .object
        case .unsigned: throw .unsigned
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int(number)
        case .double(let number): return .double(number)
        case .string(let text): return .string(text)
        case .array(let elements): return try promoted(elements)
        }
    }

    private static func promoted(_ elements: [JSONValue]) throws(PromotionRefusal) -> AttributeValue {
        switch elements.first {
        case nil: return .strings([])
        case .string: return .strings(try all(elements) { $0.stringValue })
        case .bool: return .bools(try all(elements) { $0.boolValue })
        case .int, .unsigned, .double:
            let numbers = try all(elements) { $0.numberValue }
            if elements.contains(where: { if case .unsigned = $0 { true } else { false } }) { throw .unsigned }
            let integers = elements.compactMap(\.int64Value)
            return integers.count == elements.count ? .ints(integers) : .doubles(numbers)
        case .null, .array, .object: throw .mixed
        }
    }

    private static func all<Element>(
        _ elements: [JSONValue], _ convert: (JSONValue) -> Element?
    ) throws(PromotionRefusal) -> [Element] {
        let converted = elements.compactMap(convert)
        guard converted.count == elements.count else { throw .mixed }
        return converted
    }
}

/// Why a value cannot be an attribute, in the words of the reference.
enum PromotionRefusal: String, Error {
    case reserved = "attribute key is reserved by Relay or an OpenTelemetry projection"
    case null = "null values are not OTLP attributes"
    case object = "object values are not supported"
    case unsigned = "unsigned integer is larger than OTLP i64"
    case mixed = "array values must have one primitive type"
}
