internal import ATOF

/// A value of the configuration that knows which layer it is from; 0 is the lowest.
struct LayeredValue: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        case table([Key: LayeredValue])
        case list([LayeredValue])
        case plain(JSONValue)
    }

    /// As `JSONObject` has them, keys are the same when their bytes are: texts are so in other Unicode forms, too.
    struct Key: Sendable, Hashable {
        let text: String

        static func == (left: Key, right: Key) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

        func hash(into hasher: inout Hasher) { for byte in text.utf8 { hasher.combine(byte) } }
    }

    var content: Content
    var layer: Int
    /// Of an element of a list: where it stands in each layer that has it, for lists of layers are put together.
    private var indices: [Int: Int] = [:]

    init(_ value: JSONValue, layer: Int) {
        self.layer = layer
        content =
            switch value {
            case .object(let object):
                .table(
                    Dictionary(
                        uniqueKeysWithValues: object.map {
                            (Key(text: $0.key), LayeredValue($0.value, layer: layer))
                        }))
            case .array(let elements):
                .list(
                    elements.enumerated().map { index, element in
                        var element = LayeredValue(element, layer: layer)
                        element.indices[layer] = index
                        return element
                    })
            default: .plain(value)
            }
    }

    var value: JSONValue {
        switch content {
        case .table(let members): .object(JSONObject(members.map { ($0.key.text, $0.value.value) }))
        case .list(let elements): .array(elements.map(\.value))
        case .plain(let value): value
        }
    }

    subscript(key: String) -> LayeredValue? {
        get { if case .table(let members) = content { members[Key(text: key)] } else { nil } }
        set {
            guard case .table(var members) = content else { return }
            members[Key(text: key)] = newValue
            content = .table(members)
        }
    }

    var elements: [LayeredValue]? { if case .list(let elements) = content { elements } else { nil } }

    /// Lays another value over this one: tables merge member by member, anything else is replaced.
    ///
    /// - Parameter join: says of two lists, by their path, what becomes of them; nil replaces the lower one.
    func merged(
        below higher: LayeredValue, path: [String] = [],
        join: (_ path: [String], _ lower: [LayeredValue], _ higher: [LayeredValue]) -> [LayeredValue]? = { _, _, _ in
            nil
        }
    ) -> LayeredValue {
        switch (content, higher.content) {
        case (.table(var members), .table(let others)):
            for (key, other) in others {
                members[key] = members[key]?.merged(below: other, path: path + [key.text], join: join) ?? other
            }
            var merged = higher
            merged.content = .table(members)
            merged.indices.merge(indices) { higher, _ in higher }
            return merged
        case (.list(let lower), .list(let upper)):
            var merged = higher
            if let joined = join(path, lower, upper) { merged.content = .list(joined) }
            return merged
        default: return higher
        }
    }

    /// The layers of this and all that is in it.
    var layers: Set<Int> {
        switch content {
        case .plain: [layer]
        case .list(let elements): elements.reduce(into: [layer]) { $0.formUnion($1.layers) }
        case .table(let members): members.values.reduce(into: [layer]) { $0.formUnion($1.layers) }
        }
    }

    /// The layer of what a complaint's field names, such as `components[0].config.builtin`; of what is not there the one
    /// that it would have to be in.
    func layer(of field: Substring) -> Int {
        guard let (member, rest) = step(into: field) else { return layer }
        return member.layer(of: rest)
    }

    /// A complaint's field as the layer itself has it: its indices are those of the lists of that layer.
    func place(of field: Substring, in layer: Int) -> String {
        guard let (member, rest) = step(into: field) else { return String(field) }
        let stepped = field.dropLast(rest.count)
        let own = member.indices[layer].map { "[\($0)]" } ?? String(stepped)
        return own + member.place(of: rest, in: layer)
    }

    /// What a field names; nil for what is not there.
    func member(at field: Substring) -> LayeredValue? {
        if field.isEmpty { return self }
        guard let (member, rest) = step(into: field) else { return nil }
        return member.member(at: rest)
    }

    /// The first part of a field, and what of the field is left.
    private func step(into field: Substring) -> (LayeredValue, Substring)? {
        var rest = field
        if rest.first == "." { rest.removeFirst() }
        switch content {
        case .plain: return nil
        case .list(let elements):
            guard rest.first == "[", let end = rest.firstIndex(of: "]"),
                let index = Int(rest[rest.index(after: rest.startIndex)..<end]), elements.indices.contains(index)
            else { return nil }
            return (elements[index], rest[rest.index(after: end)...])
        case .table(let members):
            // A key may have dots in it.
            let keys = members.keys.filter { key in
                rest.utf8.starts(with: key.text.utf8)
                    && [nil, UInt8(ascii: "."), UInt8(ascii: "[")].contains(
                        rest.utf8.dropFirst(key.text.utf8.count).first)
            }
            guard let key = keys.max(by: { $0.text.utf8.count < $1.text.utf8.count }), let member = members[key]
            else { return nil }
            return (member, Substring(rest.utf8.dropFirst(key.text.utf8.count)))
        }
    }
}
