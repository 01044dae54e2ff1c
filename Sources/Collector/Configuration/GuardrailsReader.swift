internal import ATOF
internal import Middleware
internal import Stages

/// Reads the `guardrails` component: rules on single events and on whole runs (`docs/components/guardrails.md`).
struct GuardrailsReader {
    /// Rules of a component, so that what an event costs has a bound.
    private static let maximumRules = 256
    /// Of a rule's name: it is a token of a subject and a label of a metric.
    private static let longestName = 64

    static func read(_ component: inout Component) {
        var section = component.section()
        let rules = readRules(&section)
        component.finish(section)
        if component.isEnabled { component.configuration.middleware.guardrails = GuardrailRules(rules: rules) }
    }

    private static func readRules(_ section: inout ConfigurationSection) -> [GuardrailRule] {
        if let version = section.number("version", UInt32.self), version != 1 {
            section.complain("version", "is \(version), must be 1", code: "unsupported_config_version")
        }
        var rules: [GuardrailRule] = []
        var names: Set<String> = []
        let tables = section.sections("rules") ?? []
        if !section.has("rules") {
            section.complain("rules", "is missing; give a [[components.config.rules]], or remove the component")
        }
        if section.raw("rules")?.arrayValue?.isEmpty == true {
            section.complain("rules", "is empty; give a [[components.config.rules]], or turn the component off")
        }
        if tables.count > maximumRules {
            section.complain("rules", "has \(tables.count) rules, the most is \(maximumRules)")
        }
        for var table in tables.prefix(maximumRules) {
            let isEnabled = table.bool("enabled") ?? true
            let rule = readRule(&table, &names)
            section.finish(table)
            if isEnabled, let rule { rules.append(rule) }
        }
        return rules
    }

    private static func readRule(_ table: inout ConfigurationSection, _ names: inout Set<String>) -> GuardrailRule? {
        let name = readName(&table, &names)
        var selection = GuardrailRule.Selection()
        selection.tenants = globs(&table, "tenants") ?? []
        for glob in selection.tenants where !canMatchTenant(glob.description) {
            table.complain("tenants", "has \"\(glob)\", which matches none: a tenant is of a-z, 0-9, _ and -")
        }
        selection.agents = globs(&table, "agents") ?? []
        selection.names = globs(&table, "names") ?? []
        selection.categories = readCategories(&table)
        let condition = readCondition(&table)
        let actions = readActions(&table)
        let replacement = table.string("replacement")
        let reason = table.string("reason")
        let annotation = readAnnotation(&table, name ?? "")
        guard let name, let condition, let actions else { return nil }
        var rule = GuardrailRule(
            name: name, condition: condition, actions: actions,
            reason: reason ?? "the rule \(name) does not allow it")
        if let priority = table.number("priority", Int32.self) { rule.priority = priority }
        rule.selection = selection
        if let replacement { rule.replacement = replacement }
        if actions.contains(.annotate) { rule.annotation = annotation }
        if table.has("annotation"), !actions.contains(.annotate) {
            table.complain("annotation", "is written by the action annotate only; add it, or remove the key")
        }
        check(rule, &table)
        return rule
    }

    private static func readName(_ table: inout ConfigurationSection, _ names: inout Set<String>) -> String? {
        guard let name = table.string("name") else {
            if !table.has("name") {
                table.complain("name", "is missing; give the rule a name of its own, such as no-shell")
            }
            return nil
        }
        guard SkeinSubjects.isName(name), name.utf8.count <= longestName else {
            table.complain("name", "must have 1 to \(longestName) characters of a-z, 0-9, _ and -")
            return nil
        }
        guard names.insert(name).inserted else {
            table.complain("name", "is \"\(name)\" like an earlier rule's; give each its own")
            return nil
        }
        return name
    }

    static func globs(_ table: inout ConfigurationSection, _ key: String) -> [NameGlob]? {
        table.strings(key).map { texts in
            if texts.contains("") { table.complain(key, "has an empty pattern; use \"*\" for every name") }
            return texts.map { NameGlob($0) }
        }
    }

    /// An empty one has a complaint of its own.
    private static func canMatchTenant(_ glob: String) -> Bool {
        let letters = glob.filter { $0 != "*" && $0 != "?" }
        return letters.isEmpty || SkeinSubjects.isName(letters) && SkeinSubjects.ownTenant != glob
    }

    private static func readCategories(_ table: inout ConfigurationSection) -> Set<String> {
        let words = table.strings("categories") ?? []
        for word in words where Event.Category.Known(rawValue: word) == nil {
            table.complain(
                "categories",
                "has \"\(word)\", known are \(Event.Category.Known.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return Set(words)
    }

    private static func readActions(_ table: inout ConfigurationSection) -> Set<GuardrailRule.Action>? {
        let known = GuardrailRule.Action.allCases.map(\.rawValue).joined(separator: ", ")
        guard let words = table.strings("actions") else {
            if !table.has("actions") { table.complain("actions", "is missing; say what happens, some of \(known)") }
            return nil
        }
        if words.isEmpty { table.complain("actions", "is empty; say what happens, some of \(known)") }
        let actions = words.map { word in
            let action = GuardrailRule.Action(rawValue: word)
            if action == nil { table.complain("actions", "has \"\(word)\", known are \(known)") }
            return action
        }
        return actions.contains(nil) ? nil : Set(actions.compactMap(\.self))
    }

    private static func readAnnotation(_ table: inout ConfigurationSection, _ name: String) -> GuardrailRule.Annotation
    {
        var annotation = GuardrailRule.Annotation(key: "skein.guardrail.\(name)", value: true)
        guard var section = table.section("annotation") else { return annotation }
        if let key = section.string("key") {
            if key.isEmpty { section.complain("key", "is empty; name a key of the metadata") }
            annotation.key = key
        }
        if let value = section.raw("value") {
            switch value {
            case .bool, .int, .unsigned, .double, .string: annotation.value = value
            case .null, .array, .object: section.complain("value", "must be a string, a number, true or false")
            }
        }
        table.finish(section)
        return annotation
    }

    // MARK: What goes with what

    private static func check(_ rule: GuardrailRule, _ table: inout ConfigurationSection) {
        let (kind, possible): (String, Set<GuardrailRule.Action>) =
            switch rule.condition {
            case .tools: ("tools", [.alert, .annotate, .dropPayload, .dropEvent, .reject])
            case .arguments: ("arguments", [.alert, .annotate, .redact, .dropPayload, .dropEvent, .reject])
            case .content: ("content", [.alert, .annotate, .redact, .dropPayload, .dropEvent, .reject])
            case .budget(let budget):
                ("budget", budget.measure.isKnownBefore ? [.alert, .verdict, .reject] : [.alert, .verdict])
            case .loop: ("loop", [.alert, .verdict])
            }
        for action in rule.actions.subtracting(possible).sorted(by: { $0.rawValue < $1.rawValue }) {
            table.complain(
                "actions",
                "has \(action.rawValue), which a rule with this \(kind) cannot do; possible are "
                    + possible.map(\.rawValue).sorted().joined(separator: ", "))
        }
        if case .budget(let budget) = rule.condition, budget.owner != .trajectory, rule.actions.contains(.verdict) {
            table.complain(
                "actions",
                "has verdict, but the budget of \(budget.owner == .agent ? "an agent" : "a tenant") is spent by many runs; use alert or reject"
            )
        }
        if !rule.condition.isOnRuns, !rule.selection.agents.isEmpty,
            !rule.actions.contains(.reject) || !rule.actions.isSubset(of: [.reject, .alert])
        {
            table.complain(
                "agents",
                "cannot be told of single events on the stream; leave it out, or let the rule do nothing but reject and alert"
            )
        }
        if let category = rule.condition.category?.rawValue, !rule.selection.categories.isEmpty,
            !rule.selection.categories.contains(category)
        {
            table.complain(
                "categories", "leaves out \(category), so that the rule would never fire; add it or remove the key")
        }
        if table.has("replacement"), !rule.replaces {
            table.complain("replacement", "is written by the action redact only; add it, or remove the key")
        }
    }
}

extension GuardrailRule {
    /// Whether something of what it finds is replaced: of content also what is left beside that which is dropped.
    fileprivate var replaces: Bool {
        if case .content = condition {
            !actions.isDisjoint(with: [.redact, .dropPayload, .dropEvent])
        } else {
            actions.contains(.redact)
        }
    }
}
