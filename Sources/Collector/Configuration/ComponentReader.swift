internal import ATOF
internal import Middleware

/// Reads the components of one kind. A kind that is not in `all` is unknown.
struct ComponentReader: Sendable {
    let kind: String
    let change: Change
    let read: @Sendable (inout Component) -> Void

    /// When other settings of the kind count.
    enum Change: Sendable {
        /// No policy: with the next start, from the files.
        case fromFiles
        case atStart
        case whileRunning
        /// While running, unless `what` differs, which stays for the life of a collector.
        case whileRunningUnless(
            _ what: String, differs: @Sendable (CollectorConfiguration, CollectorConfiguration) -> Bool)
    }

    init(_ kind: String, change: Change = .atStart, _ read: @escaping @Sendable (inout Component) -> Void) {
        self.kind = kind
        self.change = change
        self.read = read
    }

    /// Whether the kind says what becomes of events and calls.
    var isPolicy: Bool { if case .fromFiles = change { false } else { true } }

    /// One line for each kind.
    static let all: [ComponentReader] = [
        ComponentReader("observability", change: .fromFiles, ObservabilityReader.read),
        ComponentReader("pricing", change: .whileRunning, PricingReader.read),
        ComponentReader("pii_redaction", change: .whileRunning, PIIRedactionReader.read),
        ComponentReader(
            "guardrails",
            // Members announce at the start which stages they run, and whether they answer agents.
            change: .whileRunningUnless("whether there are guardrails, and rules on runs among them,") {
                before, after in
                let (before, after) = (before.middleware.guardrails, after.middleware.guardrails)
                return (before == nil) != (after == nil) || before?.onRuns.isEmpty != after?.onRuns.isEmpty
            }, GuardrailsReader.read),
        ComponentReader("workers", WorkersReader.read),
        ComponentReader("nemo_guardrails", NeMoGuardrailsReader.read),
        ComponentReader("metadata", change: .whileRunning, MetadataReader.read),
        ComponentReader("adaptive", change: .fromFiles, AdaptiveReader.read),
    ]

    /// Kinds of NeMo Relay that act in the agents' processes: a collector has nothing to do for them.
    static let ofProducers: Set<String> = ["resource_metrics"]

    /// Kinds that NeMo Relay does not have.
    static let own: Set<String> = ["guardrails", "workers", "metadata"]

    static func of(_ kind: String) -> ComponentReader? { all.first { $0.kind == kind } }
}

/// A component of the document while its reader reads it: what there is to read, and what the reader makes of it.
///
/// One that is off is validated like any other, but has no effect: its reader leaves the configuration alone.
struct Component {
    let kind: String
    let config: JSONObject
    /// Of `config`, such as `components[0].config`.
    let path: String
    let isEnabled: Bool
    /// Its own policies below those of the document.
    let policies: ConfigurationPolicies
    /// Whether it says by itself, or the document does by another word than the default, what becomes of unknown fields.
    private let namesUnknownFields: Bool
    /// Where secrets come from.
    let environment: [String: String]
    var configuration: CollectorConfiguration
    private(set) var diagnostics: [Diagnostic] = []
    private(set) var obstacles: [Diagnostic] = []

    init(
        kind: String, config: JSONObject, path: String, isEnabled: Bool, document: ConfigurationPolicies,
        environment: [String: String], configuration: CollectorConfiguration
    ) {
        self.kind = kind
        self.config = config
        self.path = path
        self.isEnabled = isEnabled
        var policies = ConfigurationPolicies(lenient: config["policy"]).below(document)
        // Of kinds that are Skein's own nobody relies on a key that is not known, and it may be a rule with a slip of the pen.
        if ComponentReader.own.contains(kind), policies.unknownField == .warn { policies.unknownField = .error }
        self.policies = policies
        namesUnknownFields = config["policy"]?["unknown_field"]?.stringValue != nil || policies.unknownField != .warn
        self.environment = environment
        self.configuration = configuration
    }

    /// `config` as a section whose codes begin with the kind. Its `policy` is read; hand the section back with `finish`.
    ///
    /// - Parameter invalidType: the code of a value of the wrong type, always an error; nil takes it for an unsupported value.
    func section(invalidType: String? = "invalid_plugin_config") -> ConfigurationSection {
        var section = ConfigurationSection(
            config, path: path,
            codes: .init(
                prefix: kind, unknownField: policies.unknownField, unsupportedValue: policies.unsupportedValue,
                invalidType: invalidType))
        if var policy = section.section("policy") {
            ConfigurationPolicies.check(&policy, code: invalidType ?? "unsupported_value")
            section.finish(policy)
        }
        return section
    }

    /// Takes over the complaints of the section, also about keys that nobody asked it for.
    ///
    /// A value of the wrong type rejects the component as a whole: then nothing else is said about it.
    ///
    /// - Parameters:
    ///   - governsEvents: whether the component says what becomes of events. No collector runs with values of such a component that
    ///     cannot be used, also where a policy lets them pass: nobody knows what was meant.
    ///   - refused: which keys that are not known keep a collector from running, unless a policy says what becomes of them: they may be what
    ///     decides about events, with a slip of the pen.
    mutating func finish(
        _ section: ConfigurationSection, governsEvents: Bool = true, refused: UnknownKeys = .none
    ) {
        var section = section
        section.close()
        let invalid = section.diagnostics.filter { $0.code == "\(kind).invalid_plugin_config" }
        diagnostics += invalid.isEmpty ? section.diagnostics : invalid
        if governsEvents, isEnabled { obstacles += section.unusable }
        if isEnabled, !namesUnknownFields {
            obstacles += section.unknownKeys.filter { refused == .all || refused == .compound && $0.isCompound }.map(
                \.complaint)
        }
    }

    /// Keys that are not known, by what they hold: all, or those with a table or a list.
    enum UnknownKeys { case none, compound, all }

    mutating func takeOver(_ others: [Diagnostic]) { diagnostics += others }

    /// Says what keeps the component from doing its work although nothing is wrong by its policies: validation passes, but
    /// no collector runs.
    mutating func obstruct(_ code: String, _ key: String, _ message: String) {
        if isEnabled { obstacles.append(Diagnostic(.error, code, field: "\(path).\(key)", message)) }
    }
}
