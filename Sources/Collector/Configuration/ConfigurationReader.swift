internal import ATOF

/// A configuration file that cannot be used, with all complaints.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    package let diagnostics: [Diagnostic]

    package var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}

/// Reads TOML: Skein's `[nats]`, `[collector]`, `[http]` and `[ingest]`, and NeMo Relay's plugins document as it is.
package struct ConfigurationReader {
    /// Where secrets come from; the process's environment outside of tests.
    let environment: [String: String]
    private var diagnostics: [Diagnostic] = []
    var configuration = CollectorConfiguration()

    /// Reads files that are layers of one configuration, low to high.
    ///
    /// - Parameter inherits: whether NeMo Relay's own files, of the user and of the system, are layers below.
    /// - Throws: `ConfigurationError` when there is a complaint of level error; warnings are returned.
    package static func read(
        files paths: [String], inherits: Bool = false, environment: [String: String]
    ) throws(ConfigurationError) -> (CollectorConfiguration, [Diagnostic]) {
        var layers = inherits ? try ConfigurationFile.discovered(environment) : []
        for path in paths { layers.append(try ConfigurationFile(path: path)) }
        return try read(layers, environment: environment)
    }

    /// Reads one file; errors are those of `read(files:)`.
    package static func read(
        file path: String, environment: [String: String]
    ) throws(ConfigurationError) -> (CollectorConfiguration, [Diagnostic]) {
        try read(files: [path], environment: environment)
    }

    /// Reads a text; errors are those of `read(files:)`.
    ///
    /// - Parameter name: what complaints call it; empty if it has none.
    package static func read(
        text: String, name: String, environment: [String: String]
    ) throws(ConfigurationError) -> (CollectorConfiguration, [Diagnostic]) {
        try read([try ConfigurationFile(text: text, name: name)], environment: environment)
    }

    /// - Parameter needsSecrets: whether variables of the environment that the document names have to be set.
    static func read(
        _ layers: [ConfigurationFile], environment: [String: String], needsSecrets: Bool = true
    ) throws(ConfigurationError) -> (CollectorConfiguration, [Diagnostic]) {
        let document = ConfigurationDocument(layers)
        // Layers that do not fit together are no document to read.
        if document.diagnostics.contains(where: { $0.level == .error }) {
            throw ConfigurationError(diagnostics: document.diagnostics)
        }
        let placeholders = needsSecrets ? [:] : document.namedVariables
        var reader = ConfigurationReader(environment: environment.merging(placeholders) { own, _ in own })
        reader.configuration.document = document
        reader.read(document.root)
        reader.nameFiles(document)
        let diagnostics = document.diagnostics + reader.diagnostics
        if diagnostics.contains(where: { $0.level == .error }) { throw ConfigurationError(diagnostics: diagnostics) }
        return (reader.configuration, diagnostics)
    }

    private init(environment: [String: String]) { self.environment = environment }

    /// Each complaint says which file is to be mended; one about a variable of the environment is about no file.
    private mutating func nameFiles(_ document: ConfigurationDocument) {
        func named(_ diagnostic: Diagnostic) -> Diagnostic {
            environment[diagnostic.field] == nil ? diagnostic.placed(in: document) : diagnostic
        }
        diagnostics = diagnostics.map(named)
        configuration.obstacles = configuration.obstacles.map(named)
    }

    private mutating func read(_ root: JSONObject) {
        let policies = ConfigurationPolicies(lenient: root["policy"])
        var document = ConfigurationSection(
            root, path: "",
            codes: .init(prefix: "configuration", unknownField: policies.unknownField, unsupportedValue: .error))
        if var section = document.section("policy") {
            ConfigurationPolicies.check(&section, code: "unsupported_value")
            document.finish(section)
        }
        if let version = document.integer("version"), version != 1 {
            report("unsupported_config_version", "version", "is \(version), must be 1")
        }
        readNATS(&document)
        readCollector(&document)
        readHTTP(&document)
        readIngest(&document)
        var kinds: Set<String> = []
        for section in document.sections("components") ?? [] {
            var section = section
            readComponent(&section, policies, seen: &kinds)
            document.finish(section)
        }
        for member in root where member.key != "components" && member.value.arrayValue?.first?.objectValue != nil {
            document.report(
                .error, "unknown_field", member.key,
                "is a list of tables that is not known; components are [[components]]")
        }
        document.close()
        diagnostics += document.diagnostics
    }

    // MARK: Plugins document

    /// A complaint of the host, which NeMo Relay calls by a code of its own.
    private mutating func report(
        _ code: String, _ field: String, _ message: String, level: Diagnostic.Level = .error
    ) { diagnostics.append(Diagnostic(level, "plugin.\(code)", field: field, message)) }

    private mutating func readComponent(
        _ section: inout ConfigurationSection, _ policies: ConfigurationPolicies, seen: inout Set<String>
    ) {
        let isEnabled = section.bool("enabled") ?? true
        let config = section.object("config") ?? JSONObject()
        guard let kind = section.string("kind") else {
            if !section.has("kind") {
                section.report(
                    .error, "missing_kind", "kind", "is missing; name the component, such as \"observability\"")
            }
            return
        }
        guard let reader = ComponentReader.of(kind) else {
            reportUnknown(kind, section.field("kind"), isEnabled: isEnabled, policies.unknownComponent)
            return
        }
        if !seen.insert(kind).inserted {
            report("duplicate_component", section.field("kind"), "there is more than one \(kind) component; keep one")
        }
        var component = Component(
            kind: kind, config: config, path: section.field("config"), isEnabled: isEnabled, document: policies,
            environment: environment, configuration: configuration)
        reader.read(&component)
        diagnostics += component.diagnostics
        configuration = component.configuration
        if kind == "pricing" { configuration.isPricingBehindObservability = seen.contains("observability") }
        configuration.obstacles += component.obstacles
        // `[[components.confg.rules]]`: what a component would have done with a table nobody knows. A policy may say that it does not matter.
        if isEnabled, policies.unknownField == .warn {
            var rest = section
            rest.close()
            configuration.obstacles += rest.unknownKeys.filter(\.isCompound).map(\.complaint)
        }
    }

    /// What a component of an unknown kind would have done to events nobody knows: it keeps a collector from running, unless
    /// the document says that it does not matter.
    private mutating func reportUnknown(_ kind: String, _ field: String, isEnabled: Bool, _ policy: DiagnosticPolicy) {
        guard let level = policy.level else { return }
        let known = ComponentReader.all.map(\.kind).joined(separator: ", ")
        guard isEnabled, !ComponentReader.ofProducers.contains(kind) else {
            let reason = isEnabled ? "acts in the agents' processes" : "is not known and is off"
            report("unknown_component", field, "\"\(kind)\" \(reason); it has no effect here", level: level)
            return
        }
        let message =
            "\"\(kind)\" is not a component of this version (\(known)); remove it, or set policy.unknown_component to ignore"
        report("unknown_component", field, message, level: level)
        if level == .warning {
            configuration.obstacles.append(
                Diagnostic(
                    .error, "plugin.unknown_component", field: field, "nothing runs without this component: \(message)")
            )
        }
    }
}
