internal import ATOF

/// The members of one object of a catalogue, read with their checks.
struct CatalogMembers {
    let object: JSONObject
    private let path: String

    init(_ value: JSONValue, at path: String, knowing keys: [String]) throws(PricingCatalogError) {
        guard let object = value.objectValue else {
            throw PricingCatalogError(field: path, message: "must be a table")
        }
        self.object = object
        self.path = path
        for key in object.keys where !keys.contains(key) {
            throw error(key, "is not known here; known are \(keys.joined(separator: ", "))")
        }
    }

    func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    func error(_ key: String, _ message: String) -> PricingCatalogError {
        PricingCatalogError(field: path(of: key), message: message)
    }

    func required(_ key: String) throws(PricingCatalogError) -> JSONValue {
        guard let value = object[key] else { throw error(key, "is missing") }
        return value
    }

    /// Nil for null and missing.
    func optional(_ key: String) -> JSONValue? { object[key]?.nonNull }

    /// A text that is not blank.
    func text(_ key: String, default fallback: String? = nil) throws(PricingCatalogError) -> String {
        if let fallback, object[key] == nil { return fallback }
        guard let text = try required(key).stringValue else { throw error(key, "must be a string") }
        if text.trimmed.isEmpty { throw error(key, "must not be blank") }
        return text
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default fallback: Choice?
    ) throws(PricingCatalogError) -> Choice where Choice.RawValue == String {
        if let fallback, object[key] == nil { return fallback }
        guard let choice = try required(key).stringValue.flatMap(Choice.init(rawValue:)) else {
            throw error(key, "must be \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }

    func array(_ key: String) throws(PricingCatalogError) -> [JSONValue] {
        guard let elements = try required(key).arrayValue else { throw error(key, "must be an array") }
        return elements
    }

    /// An array of strings; a missing one is empty.
    func strings(_ key: String) throws(PricingCatalogError) -> [String] {
        if object[key] == nil { return [] }
        var texts: [String] = []
        for element in try array(key) {
            guard let text = element.stringValue else { throw error(key, "must hold strings only") }
            texts.append(text)
        }
        return texts
    }

    func count(_ key: String) throws(PricingCatalogError) -> UInt64? {
        guard let value = optional(key) else { return nil }
        guard let count = value.uint64Value else { throw error(key, "must be an integer of at least 0") }
        return count
    }

    func rate(_ key: String) throws(PricingCatalogError) -> Double? {
        try optional(key).map { (value) throws(PricingCatalogError) in try rate(value, key) }
    }

    func rate(_ value: JSONValue, _ key: String) throws(PricingCatalogError) -> Double {
        guard let rate = value.numberValue, rate.isFinite, rate >= 0 else {
            throw error(key, "must be a finite number of at least 0")
        }
        return rate
    }
}
