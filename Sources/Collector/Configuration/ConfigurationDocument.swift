internal import ATOF

/// The document that the layers make together, and where each of its parts is from (`middleware-guardrails-pii.md` 10).
package struct ConfigurationDocument: Sendable {
    private(set) var root = JSONObject()
    /// The files, low to high.
    package let files: [String]
    /// Those that were found and not named.
    let discovered: Set<String>
    private(set) var diagnostics: [Diagnostic] = []
    private var layered = LayeredValue([:], layer: 0)

    /// - Parameter layers: low to high. The last one that somebody has named counts as the program's own document: only it
    ///   can turn a component off that is on below it.
    init(_ layers: [ConfigurationFile]) {
        discovered = Set(layers.filter(\.isDiscovered).map(\.name))
        let layers = ConfigurationDocument.unique(layers)
        files = layers.map(\.name)
        if layers.count == 1, let only = layers.first, !only.isDiscovered {
            layered = LayeredValue(.object(only.root), layer: 0)
        } else {
            merge(layers)
        }
        root = layered.value.objectValue ?? JSONObject()
    }

    /// The file that a complaint is about; nil for one about the environment, and for texts that are no files.
    package func file(of field: String) -> String? {
        guard let layer = layer(of: field) else { return nil }
        return files[layer].isEmpty ? nil : files[layer]
    }

    /// What a complaint's field is called in its file: lists of several layers are put together.
    func place(of field: String) -> String { layer(of: field).map { place(of: field, in: $0) } ?? field }

    func place(of field: String, in layer: Int) -> String { layered.place(of: field[...], in: layer) }

    /// Counted from 0, the lowest.
    package func layer(of field: String) -> Int? {
        let layer = layered.layer(of: field[...])
        return files.indices.contains(layer) ? layer : nil
    }

    /// All layers that say something about what a field names, low to high.
    package func layers(of field: String) -> [Int] {
        (layered.member(at: field[...])?.layers ?? []).sorted()
    }

    /// Variables of the environment that hold secrets for it, with something in their place: for what sends nothing.
    var namedVariables: [String: String] {
        var names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
        func collect(_ value: JSONValue) {
            for element in value.arrayValue ?? [] { collect(element) }
            for member in value.objectValue ?? JSONObject() {
                if member.key.hasSuffix("_env") || member.key.hasSuffix("_var") {
                    let values = member.value.objectValue?.members.map(\.value) ?? [member.value]
                    names += values.compactMap(\.stringValue)
                } else {
                    collect(member.value)
                }
            }
        }
        collect(.object(root))
        return Dictionary(names.map { ($0, "unset") }) { first, _ in first }
    }

    // MARK: Merging

    /// Of a file that is named twice the higher place counts.
    private static func unique(_ layers: [ConfigurationFile]) -> [ConfigurationFile] {
        let places = layers.map(\.place)
        return layers.indices.filter { places[$0] == nil || !places[($0 + 1)...].contains(places[$0]) }
            .map { layers[$0] }
    }

    private mutating func merge(_ layers: [ConfigurationFile]) {
        var components: [LayeredValue] = []
        var turnedOff: Set<String> = []
        for (index, file) in layers.enumerated() {
            let isTop = index == layers.count - 1 && !file.isDiscovered
            var value = LayeredValue(.object(file.root), layer: index)
            if isTop {
                ConfigurationDocument.leaveOutDefaults(&value)
            } else {
                check(file)
            }
            if file.isDiscovered {
                diagnostics.append(
                    Diagnostic(
                        .warning, "plugin.configuration_inherited", field: file.name,
                        "was found and is a layer below the files that were named"))
            }
            var own = value["components"]?.elements
            if own != nil { value["components"] = nil }
            if !isTop {
                turnedOff.formUnion((own ?? []).filter(\.isOff).compactMap(\.kind))
                own?.removeAll(where: \.isOff)
            } else {
                for index in own?.indices ?? 0..<0 { own?[index].takeEnabled() }
                warn(ofReenabled: own ?? [], turnedOff)
            }
            layered = layered.merged(below: value)
            components = ConfigurationDocument.paired(components, below: own ?? [])
        }
        // What is no list of components is complained about by whoever reads the document.
        if layered["components"] == nil {
            layered["components"] = LayeredValue([], layer: max(layers.count - 1, 0))
            layered["components"]?.content = .list(components)
        }
    }

    /// What a file below the program's document has to be by itself.
    private mutating func check(_ file: ConfigurationFile) {
        if let version = file.root["version"], version != 1 {
            report(file, "unsupported_config_version", "version", "is \(version.compactText), must be 1")
        }
        var seen: Set<String> = []
        for (index, component) in (file.root["components"]?.arrayValue ?? []).enumerated() {
            guard let kind = component["kind"]?.stringValue, !seen.insert(kind).inserted else { continue }
            report(
                file, "duplicate_component", "components[\(index)].kind",
                "there is more than one \(kind) component in this file; keep one")
        }
    }

    private mutating func report(_ file: ConfigurationFile, _ code: String, _ field: String, _ message: String) {
        var diagnostic = Diagnostic(.error, "plugin.\(code)", field: field, message)
        diagnostic.file = file.name
        diagnostics.append(diagnostic)
    }

    private mutating func warn(ofReenabled components: [LayeredValue], _ turnedOff: Set<String>) {
        for component in components where !component.isOff {
            guard let kind = component.kind, turnedOff.contains(kind) else { continue }
            diagnostics.append(
                Diagnostic(
                    .warning, "plugin.component_reenabled", field: "components",
                    "\(kind) is on although a layer below turns it off"))
        }
    }

    /// The version and the policies of the program's document count only where they are not the default, so that those of
    /// the layers below show through.
    private static func leaveOutDefaults(_ value: inout LayeredValue) {
        if value["version"]?.value == 1 { value["version"] = nil }
        for (key, word) in [("unknown_component", "warn"), ("unknown_field", "warn"), ("unsupported_value", "error")]
        where value["policy"]?[key]?.value == .string(word) {
            value["policy"]?[key] = nil
        }
    }

    /// Components of one kind belong together in their order; those without a counterpart follow.
    private static func paired(_ lower: [LayeredValue], below higher: [LayeredValue]) -> [LayeredValue] {
        var result = lower
        var taken: Set<Int> = []
        for component in higher {
            let match = result.indices.first {
                $0 < lower.count && !taken.contains($0) && result[$0].kind == component.kind && component.kind != nil
            }
            guard let match else {
                result.append(component)
                continue
            }
            taken.insert(match)
            result[match] = result[match].merged(below: component, join: joined)
        }
        return result
    }

    /// Lists directly in a component's `config`, and a few of `observability`, add up, the higher layer's first.
    private static func joined(
        _ path: [String], _ lower: [LayeredValue], _ higher: [LayeredValue]
    ) -> [LayeredValue]? {
        guard path.first == "config" else { return nil }
        switch Array(path.dropFirst()) {
        case let path where path.count == 1: return higher + lower
        case ["atif", "storage"], ["opentelemetry", "traces"], ["opentelemetry", "endpoints"]: return higher + lower
        case ["opentelemetry", "logs", "endpoints"], ["opentelemetry", "metrics", "endpoints"]:
            // An empty one says that there is to be none.
            return higher.isEmpty ? [] : higher + lower
        default: return nil
        }
    }
}

extension LayeredValue {
    /// Of a component.
    fileprivate var kind: String? { self["kind"]?.value.stringValue }
    fileprivate var isOff: Bool { self["enabled"]?.value == false }

    /// Whether a component of the program's document is on is said by this document, also where it says nothing.
    fileprivate mutating func takeEnabled() {
        guard self["enabled"] == nil, case .table = content else { return }
        self["enabled"] = LayeredValue(true, layer: layer)
    }
}
