internal import ATOF
internal import Middleware

extension GuardrailsReader {
    private static let conditions = ["tools", "arguments", "content", "budget", "loop"]

    /// Exactly one of them.
    static func readCondition(_ table: inout ConfigurationSection) -> GuardrailRule.Condition? {
        let present = conditions.filter { table.has($0) }
        let tools = readTools(&table)
        let arguments = readArguments(&table)
        let content = readContent(&table)
        let budget = readBudget(&table)
        let loop = readLoop(&table)
        guard present.count == 1 else {
            table.complain(
                present.last ?? "tools",
                present.isEmpty
                    ? "is missing; a rule needs one condition: \(conditions.joined(separator: ", "))"
                    : "is a second condition beside \(present[0]); make two rules of it")
            return nil
        }
        return tools.map { .tools($0) } ?? arguments.map { .arguments($0) } ?? content.map { .content($0) }
            ?? budget.map { .budget($0) } ?? loop.map { .loop($0) }
    }

    private static func readTools(_ table: inout ConfigurationSection) -> GuardrailRule.ToolLists? {
        guard var section = table.section("tools") else { return nil }
        let allow = globs(&section, "allow")
        let deny = globs(&section, "deny")
        if !section.has("allow"), deny?.isEmpty ?? true {
            section.complain("deny", "is missing; name the tools that are denied, or in allow those that are allowed")
        }
        table.finish(section)
        return GuardrailRule.ToolLists(allow: allow, deny: deny ?? [])
    }

    private static func readArguments(_ table: inout ConfigurationSection) -> [GuardrailRule.ArgumentTest]? {
        guard let sections = table.sections("arguments") else { return nil }
        if sections.isEmpty {
            table.complain("arguments", "is empty; give at least one test, such as a pointer and equals")
        }
        var tests: [GuardrailRule.ArgumentTest] = []
        for var section in sections {
            if let test = readArgument(&section) { tests.append(test) }
            table.finish(section)
        }
        return tests.count == sections.count && !tests.isEmpty ? tests : nil
    }

    private static func readArgument(_ section: inout ConfigurationSection) -> GuardrailRule.ArgumentTest? {
        let pointer = section.string("pointer")
        if !section.has("pointer") {
            section.complain("pointer", "is missing; say which argument, such as \"/path\", or \"\" for all of them")
        } else if let pointer, !JSONValue.isPointer(pointer) {
            section.complain("pointer", "is no JSON pointer (RFC 6901); begin with / and write ~ as ~0 and / as ~1")
        }
        let equals = section.raw("equals")
        let minimum = section.decimal("minimum")
        let maximum = section.decimal("maximum")
        let text = section.string("pattern")
        let schema = section.raw("violates")
        if let minimum, let maximum, minimum > maximum {
            section.complain("minimum", "is \(minimum), which is more than maximum, \(maximum)")
        }
        let given = [
            equals == nil ? nil : "equals", section.has("pattern") ? "pattern" : nil,
            minimum == nil && maximum == nil ? nil : "minimum and maximum", schema == nil ? nil : "violates",
        ].compactMap(\.self)
        guard given.count == 1 else {
            section.complain(
                "equals",
                given.isEmpty
                    ? "is missing; give equals, pattern, violates, or minimum and maximum"
                    : "stands for one test, but there are \(given.joined(separator: ", ")); make a test of each")
            return nil
        }
        var test =
            equals.map { GuardrailRule.ArgumentTest.Test.equals($0) } ?? .range(minimum: minimum, maximum: maximum)
        if section.has("pattern") {
            guard let text else { return nil }
            do throws(PatternError) {
                test = .pattern(try GuardrailRule.ArgumentPattern(text))
            } catch {
                section.complain("pattern", "is no pattern that can be used: \(error)")
                return nil
            }
        }
        if let schema {
            guard let compiled = readSchema(schema, &section) else { return nil }
            test = .violates(compiled)
        }
        return pointer.map { GuardrailRule.ArgumentTest(pointer: $0, test: test) }
    }

    /// A table, or the text of a JSON document.
    private static func readSchema(
        _ value: JSONValue, _ section: inout ConfigurationSection
    ) -> GuardrailRule.ArgumentSchema? {
        var schema = value
        if let text = value.stringValue {
            guard let parsed = try? JSONParser.parse(text) else {
                section.complain("violates", "is no JSON; give a JSON Schema as a table, or as the text of one")
                return nil
            }
            schema = parsed
        }
        do throws(SchemaError) {
            let compiled = try GuardrailRule.ArgumentSchema(schema)
            if compiled.allowsEverything {
                section.complain(
                    "violates", "allows everything, so that the rule would never fire; say what is allowed")
            }
            return compiled
        } catch {
            section.complain("violates", "is no JSON Schema that can be used: \(error)")
            return nil
        }
    }

    private static func readContent(_ table: inout ConfigurationSection) -> GuardrailRule.ContentTest? {
        guard var section = table.section("content") else { return nil }
        defer { table.finish(section) }
        var matchers: [BuiltinRedaction.Matcher] = []
        for word in section.strings("detectors") ?? [] {
            if let detector = Detector(rawValue: word) {
                matchers.append(.detector(detector))
            } else {
                section.complain(
                    "detectors",
                    "has \"\(word)\", known are \(Detector.allCases.map(\.rawValue).sorted().joined(separator: ", "))")
            }
        }
        for (index, text) in (section.strings("patterns") ?? []).enumerated() {
            if text.isEmpty { section.complain("patterns[\(index)]", "is empty, which is found in every text") }
            do throws(PatternError) {
                _ = try Pattern(text)
                matchers.append(.pattern(text))
            } catch {
                section.complain("patterns[\(index)]", "is no pattern that can be used: \(error)")
            }
        }
        if !section.has("detectors"), !section.has("patterns") {
            section.complain("detectors", "is missing; name detectors such as email, or give patterns")
        } else if matchers.isEmpty {
            section.complain(
                section.has("detectors") ? "detectors" : "patterns", "leaves nothing to look for; name at least one")
        }
        if matchers.isEmpty { return nil }
        do throws(RedactionError) {
            return try GuardrailRule.ContentTest(
                matchers: matchers, replacement: table.string("replacement") ?? GuardrailRule.defaultReplacement)
        } catch {
            section.complain("patterns", "cannot be used: \(error.reason)")
            return nil
        }
    }

    private static func readBudget(_ table: inout ConfigurationSection) -> GuardrailRule.Budget? {
        guard var section = table.section("budget") else { return nil }
        defer { table.finish(section) }
        let measure = section.choice("measure", GuardrailRule.Budget.Measure.self)
        if !section.has("measure") {
            section.complain(
                "measure",
                "is missing; say what is counted: "
                    + GuardrailRule.Budget.Measure.allCases.map(\.rawValue).joined(separator: ", "))
        }
        let owner = section.choice("per", GuardrailRule.Budget.Owner.self) ?? .trajectory
        let window = readWindow(&section)
        let limit = section.decimal("limit")
        if !section.has("limit") { section.complain("limit", "is missing; give the most that is within the budget") }
        guard let measure, let limit else { return nil }
        if owner != .trajectory, !measure.isCountable {
            section.complain(
                "per", "is \(owner.rawValue), but \(measure.rawValue) is a trajectory's own; leave per out")
        } else if owner != .trajectory, window == nil, !section.has("window_seconds") {
            section.complain(
                "window_seconds", "is missing; a budget per \(owner.rawValue) is one of a time, for it has no end")
        }
        if window != nil, !measure.isCountable {
            section.complain("window_seconds", "does not go with \(measure.rawValue); leave it out")
        }
        return GuardrailRule.Budget(
            measure: measure, limit: units(limit, of: measure, &section), owner: owner, window: window)
    }

    /// Dollars and seconds may have fractions, nothing else.
    private static func units(
        _ limit: Double, of measure: GuardrailRule.Budget.Measure, _ section: inout ConfigurationSection
    ) -> UInt64 {
        let factor: Double =
            switch measure {
            case .cost, .wallTime: 1e9
            case .calls, .toolCalls, .llmCalls, .tokens, .depth, .fanOut: 1
            }
        if factor == 1, limit != limit.rounded() {
            section.complain("limit", "is \(limit), must be an integer for \(measure.rawValue)")
        }
        guard limit >= 0, limit <= 1e9 || factor == 1 && limit <= 1e15 else {
            section.complain("limit", "is \(limit), must be 0 to \(factor == 1 ? "1000000000000000" : "1000000000")")
            return 0
        }
        return UInt64((limit * factor).rounded())
    }

    private static func readLoop(_ table: inout ConfigurationSection) -> GuardrailRule.Loop? {
        guard var section = table.section("loop") else { return nil }
        defer { table.finish(section) }
        let call = section.choice("call", GuardrailRule.Loop.Call.self) ?? .tool
        let window = readWindow(&section)
        guard let repeats = section.integer("repeats", minimum: 2) else {
            if !section.has("repeats") {
                section.complain("repeats", "is missing; say how many equal calls are one too many, such as 5")
            }
            return nil
        }
        if repeats > GuardrailRule.Loop.maximumRepeats {
            section.complain("repeats", "must be at most \(GuardrailRule.Loop.maximumRepeats), is \(repeats)")
        }
        return GuardrailRule.Loop(
            call: call, repeats: Int(min(repeats, Int64(GuardrailRule.Loop.maximumRepeats))), window: window)
    }

    /// In nanoseconds; a month at the most.
    private static func readWindow(_ section: inout ConfigurationSection) -> UInt64? {
        guard let seconds = section.integer("window_seconds") else { return nil }
        if seconds > 2_678_400 { section.complain("window_seconds", "must be at most 2678400, is \(seconds)") }
        return UInt64(min(seconds, 2_678_400)) * 1_000_000_000
    }
}
