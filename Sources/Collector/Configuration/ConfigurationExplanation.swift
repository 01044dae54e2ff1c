internal import ATOF
internal import Middleware

/// What a configuration comes to: its layers, which of them each component is from, and the chain that events pass.
package struct ConfigurationExplanation: Sendable {
    package struct Component: Sendable, Hashable {
        package let kind: String
        package let isEnabled: Bool
        /// Its place in the document that the layers make together.
        package let field: String
        /// Those that say something about it, low to high, counted from 1.
        package let layers: [Int]
    }

    /// A step of the chain.
    package struct Step: Sendable, Hashable {
        package let name: String
        package let priority: Int32
        /// Nil for a step that is always there.
        package let component: String?
        /// The table that it is made of, as the file has it.
        package let field: String?
        /// The highest that says something about this table, counted from 1, and its file.
        package let layer: Int?
        package let file: String?
    }

    /// Low to high.
    package let files: [String]
    package let components: [Component]
    /// In the order in which events pass them.
    package let chain: [Step]
    /// What is asked before the act: in order, and then the budgets that count.
    package let beforeAct: [Step]
    /// The rules on runs, which `watch` follows.
    package let onRuns: [Step]
    /// By which members that run with the document, and without another one above it, are known (`skein_members`, `skein lag`).
    package let policy: String

    /// - Throws: `ConfigurationError` when no chain can be made of the settings.
    package init(_ configuration: CollectorConfiguration) throws(ConfigurationError) {
        let document = configuration.document
        let tables = document.root["components"]?.arrayValue ?? []
        files = document.files
        policy = configuration.policyFingerprint
        components = tables.enumerated().map { index, component in
            Component(
                kind: component["kind"]?.stringValue ?? "", isEnabled: component["enabled"]?.boolValue ?? true,
                field: "components[\(index)]", layers: document.layers(of: "components[\(index)]").map { $0 + 1 })
        }
        func step(_ name: String, _ priority: Int32) -> Step {
            ConfigurationExplanation.step(name, priority, tables, document)
        }
        chain = try configuration.makeChain().steps.map { step($0.name, $0.priority) }
        let rules = configuration.middleware.guardrails ?? GuardrailRules()
        beforeAct =
            ConfigurationExplanation.deciders(configuration.middleware).map { step($0.name, $0.priority) }
            + rules.inOrder.filter { GuardrailBudgets(GuardrailRules(rules: [$0])) != nil }
            .map { step("guardrails.\($0.name)", $0.priority) }
        onRuns = rules.onRuns.filter { !$0.actions.isDisjoint(with: [.alert, .verdict]) }
            .map { step("guardrails.\($0.name)", $0.priority) }
    }

    /// Who decides about calls, under the names of steps, in the order of `GuardPolicy`.
    private static func deciders(_ settings: MiddlewareSettings) -> [(name: String, priority: Int32)] {
        var deciders: [(name: String, own: String, priority: Int32)] = (settings.guardrails?.rules ?? [])
            .filter { GuardrailDecider($0) != nil }.map { ("guardrails.\($0.name)", $0.name, $0.priority) }
        for worker in settings.workers where worker.surfaces.contains(where: \.isBeforeAct) {
            deciders.append(("workers/\(worker.name)", "workers/\(worker.name)", worker.priority))
        }
        if let server = settings.nemoGuardrails, server.checksInput {
            deciders.append((NeMoGuardrails.name, NeMoGuardrails.name, server.priority))
        }
        return deciders.sorted { left, right in
            left.priority != right.priority
                ? left.priority < right.priority : left.own.utf8.lexicographicallyPrecedes(right.own.utf8)
        }.map { ($0.name, $0.priority) }
    }

    private static func step(
        _ name: String, _ priority: Int32, _ tables: [JSONValue], _ document: ConfigurationDocument
    ) -> Step {
        // Names begin with the kind of the component.
        let parts = name.split(separator: "/").first?.split(separator: ".", maxSplits: 1) ?? []
        let index = tables.firstIndex { table in parts.first.map { table["kind"] == .string(String($0)) } ?? false }
        let field = index.map { ConfigurationExplanation.field(of: name.dropFirst(parts[0].count + 1), tables[$0], $0) }
        let layer = field.flatMap { document.layers(of: $0).last }
        return Step(
            name: name, priority: priority, component: index.map { _ in String(parts[0]) },
            field: field.map { document.place(of: $0, in: layer ?? 0) },
            layer: layer.map { $0 + 1 }, file: layer.map { document.files[$0] })
    }

    /// The table that a step is made of: a profile by its number, or what has the name.
    private static func field(of name: Substring, _ component: JSONValue, _ index: Int) -> String {
        let place = "components[\(index)]"
        if name.hasPrefix("profile_"), let number = Int(name.dropFirst("profile_".count)) {
            return "\(place).config.profiles[\(number)]"
        }
        let wanted = JSONValue.string(name.split(separator: "/").first.map { String($0) } ?? "")
        for member in component["config"]?.objectValue ?? JSONObject() {
            if let number = member.value.arrayValue?.firstIndex(where: { $0["name"] == wanted }) {
                return "\(place).config.\(member.key)[\(number)]"
            }
        }
        return place
    }
}
