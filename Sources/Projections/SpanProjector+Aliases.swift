internal import ATOF

/// Aliases of attributes, and metadata that is promoted to attributes (`otel-projections.md` 2.6, 2.7).
extension SpanProjector {
    /// Metadata that is promoted, and the name below which it would be otherwise.
    typealias Lifted = (name: String, attributes: [Attribute])

    /// Aliases see the attributes of the projection, promoted metadata where it would be, and never each other
    /// (`otel-projections.md` 2.7).
    func addAliases(to attributes: inout [Attribute], beside lifted: @autoclosure () -> [Lifted]) {
        guard !configuration.attributeMappings.isEmpty else { return }
        let projected = attributes
        for mapping in configuration.attributeMappings where !attributes.contains(key: mapping.alias) {
            var source = projected.last { $0.key == mapping.key }?.value
            if mapping.key == "metadata" { source = source.map { SpanProjector.whole($0, with: lifted()) } }
            guard let value = source ?? SpanProjector.value(of: mapping.key, in: lifted()) else { continue }
            attributes.append(Attribute(mapping.alias, value))
        }
    }

    /// The JSON text of metadata with what was promoted of it.
    private static func whole(_ metadata: AttributeValue, with lifted: [Lifted]) -> AttributeValue {
        guard case .string(let text) = metadata, let promoted = lifted.last?.attributes, !promoted.isEmpty,
            let rest = (try? JSONParser.parse(text))?.objectValue
        else { return metadata }
        let members = rest.map { ($0.key, $0.value) } + promoted.map { ($0.key, $0.value.json) }
        return .string(JSONValue.object(JSONObject(members.sorted { $0.0 < $1.0 })).compactText)
    }

    private static func value(of key: String, in lifted: [Lifted]) -> AttributeValue? {
        for (name, attributes) in lifted.reversed() where key.hasPrefix("\(name).") {
            let rest = key.dropFirst(name.count + 1)
            if let attribute = attributes.last(where: { $0.key == rest }) { return attribute.value.scalar }
        }
        return nil
    }

    var endMetadata: String {
        configuration.projection == .openinference ? "openinference.metadata" : "nemo_relay.end.metadata"
    }

    /// What the start had of it; of model calls, openinference has none.
    func lifted(_ payload: OpenSpan.Payload) -> Lifted {
        guard configuration.projection == .openinference else {
            return ("nemo_relay.start.metadata", payload.promoted)
        }
        return ("openinference.metadata", payload.start.replaceable.isEmpty ? [] : payload.promoted)
    }

    /// What the end says about a key counts, even when it cannot be exported (`otel-projections.md` 2.6).
    ///
    /// - Parameter end: nil for a scope that did not end.
    func addPromoted(_ held: [Attribute], _ end: EventPayloads?, to attributes: inout [Attribute]) {
        let candidates = end?.promotion.candidates ?? []
        if held.isEmpty && candidates.isEmpty { return }
        let start = held.filter { end?.metadata?[$0.key] == nil }
        attributes.appendNew(start + candidates)
    }
}
