internal import ATOF

/// Reads one table of the configuration and collects the complaints. A key that nobody asked for is an unknown field.
struct ConfigurationSection {
    let path: String
    private let table: JSONObject
    private let codes: Codes
    private var asked: Set<String> = []
    private(set) var diagnostics: [Diagnostic] = []
    /// What the policy for unsupported values made less of than an error.
    private(set) var unusable: [Diagnostic] = []
    /// Keys that nobody asked for, and whether they hold a table or a list.
    private(set) var unknownKeys: [(complaint: Diagnostic, isCompound: Bool)] = []

    /// How the section's complaints are called, and what the document's policies make of them.
    struct Codes {
        var prefix: String
        var unknownField: DiagnosticPolicy
        var unsupportedValue: DiagnosticPolicy
        /// Of a value of the wrong type, which is an error then whatever the policies are; nil is an unsupported value.
        var invalidType: String?
    }

    init(_ table: JSONObject, path: String, codes: Codes) {
        self.table = table
        self.path = path
        self.codes = codes
    }

    func field(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Says that a value cannot be used; the policy for unsupported values decides what becomes of it.
    mutating func complain(_ key: String, _ message: String, code: String = "unsupported_value") {
        if let level = codes.unsupportedValue.level { report(level, code, key, message) }
        if codes.unsupportedValue != .error {
            unusable.append(Diagnostic(.error, "\(codes.prefix).\(code)", field: field(key), message))
        }
    }

    mutating func report(_ level: Diagnostic.Level, _ code: String, _ key: String, _ message: String) {
        diagnostics.append(Diagnostic(level, "\(codes.prefix).\(code)", field: field(key), message))
    }

    mutating func has(_ key: String) -> Bool { table[key].map { !$0.isNull } ?? false }

    private mutating func value(_ key: String) -> JSONValue? {
        asked.insert(key)
        return table[key]?.nonNull
    }

    private mutating func typed<Value>(_ key: String, _ expected: String, _ convert: (JSONValue) -> Value?) -> Value? {
        guard let found = value(key) else { return nil }
        guard let converted = convert(found) else {
            refuse(key, "must be \(expected), is \(ConfigurationSection.kind(of: found))")
            return nil
        }
        return converted
    }

    /// Says that a value is of the wrong type.
    private mutating func refuse(_ key: String, _ message: String) {
        if let code = codes.invalidType { report(.error, code, key, message) } else { complain(key, message) }
    }

    private static func kind(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .unsigned: "an integer"
        case .double: "a float"
        case .string: "a string"
        case .array: "an array"
        case .object: "a table"
        }
    }

    mutating func string(_ key: String) -> String? { typed(key, "a string", \.stringValue) }

    mutating func bool(_ key: String) -> Bool? { typed(key, "true or false", \.boolValue) }

    mutating func object(_ key: String) -> JSONObject? { typed(key, "a table", \.objectValue) }

    mutating func raw(_ key: String) -> JSONValue? { value(key) }

    /// An integer of at least `minimum`.
    mutating func integer(_ key: String, minimum: Int64 = 1) -> Int64? {
        guard let number = typed(key, "an integer", \.int64Value) else { return nil }
        guard number >= minimum else {
            complain(key, "must be at least \(minimum), is \(number)")
            return nil
        }
        return number
    }

    /// An integer of the width that the reference reads it in.
    mutating func number<Number: FixedWidthInteger>(_ key: String, _: Number.Type) -> Number? {
        let range = "an integer from \(Number.min) to \(Number.max)"
        guard let whole = typed(key, range, \.int64Value) else { return nil }
        let number = Number(exactly: whole)
        if number == nil { refuse(key, "must be \(range), is \(whole)") }
        return number
    }

    /// An integer or a float.
    mutating func decimal(_ key: String) -> Double? { typed(key, "a number", \.numberValue) }

    mutating func strings(_ key: String) -> [String]? {
        typed(key, "an array of strings") { value in
            guard let elements = value.arrayValue else { return nil }
            let texts = elements.compactMap(\.stringValue)
            return texts.count == elements.count ? texts : nil
        }
    }

    mutating func stringTable(_ key: String) -> [(String, String)]? {
        typed(key, "a table of strings") { value in
            guard let object = value.objectValue else { return nil }
            let pairs = object.compactMap { member in member.value.stringValue.map { (member.key, $0) } }
            return pairs.count == object.count ? pairs : nil
        }
    }

    mutating func stringsTable(_ key: String) -> [(String, [String])]? {
        typed(key, "a table of arrays of strings") { value in
            guard let object = value.objectValue else { return nil }
            let lists = object.compactMap { member in
                member.value.arrayValue.map { (member.key, $0.count, $0.compactMap(\.stringValue)) }
            }
            guard lists.count == object.count, lists.allSatisfy({ $0.1 == $0.2.count }) else { return nil }
            return lists.map { ($0.0, $0.2) }
        }
    }

    mutating func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, _: Choice.Type) -> Choice?
    where Choice.RawValue == String {
        guard let text = string(key) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            complain(key, "is \"\(text)\", must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
            return nil
        }
        return choice
    }

    /// The table below a key as a section of its own; hand it back with `finish`.
    mutating func section(_ key: String) -> ConfigurationSection? {
        guard let object = object(key) else { return nil }
        return ConfigurationSection(object, path: field(key), codes: codes)
    }

    mutating func sections(_ key: String) -> [ConfigurationSection]? {
        let path = field(key)
        let codes = codes
        return typed(key, "an array of tables") { value in
            guard let elements = value.arrayValue else { return nil }
            let objects = elements.compactMap(\.objectValue)
            guard objects.count == elements.count else { return nil }
            return objects.enumerated().map { ConfigurationSection($1, path: "\(path)[\($0)]", codes: codes) }
        }
    }

    /// Takes over the complaints of a section, and those about the keys that nobody asked it for.
    mutating func finish(_ section: ConfigurationSection) {
        var section = section
        section.close()
        diagnostics += section.diagnostics
        unusable += section.unusable
        unknownKeys += section.unknownKeys
    }

    /// Complains about the keys that nobody asked for.
    mutating func close() {
        guard let level = codes.unknownField.level else { return }
        for key in table.keys where !asked.contains(key) {
            let known = asked.sorted().joined(separator: ", ")
            let message = known.isEmpty ? "is not known" : "is not known here; known are \(known)"
            report(level, "unknown_field", key, message)
            let isCompound = table[key]?.objectValue != nil || table[key]?.arrayValue != nil
            unknownKeys.append(
                (Diagnostic(.error, "\(codes.prefix).unknown_field", field: field(key), message), isCompound))
        }
    }

    mutating func takeOver(_ others: [Diagnostic]) { diagnostics += others }
}
