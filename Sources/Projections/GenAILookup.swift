internal import ATOF

/// Finds what a producer says about an operation without a normalised form (`otel-projections.md` 3.3.1): in its own keys of the
/// category profile, then in the metadata, then in the payload.
struct GenAILookup {
    private let profile: JSONObject?
    private let metadata: JSONObject?
    private let data: JSONObject?

    /// Members of the profile that ATOF defines.
    private static let defined: Set<String> = [
        "model_name", "tool_call_id", "subtype", "tool_result_annotation", "annotated_request", "annotated_response",
        "time_to_first_chunk",
    ]
    private static let nested = ["usage", "request", "response"]

    /// - Parameter readsData: not of tools, whose payload is what the model chose to say; the reference reads it all the same.
    init(_ payloads: EventPayloads, readsData: Bool = true) {
        profile = payloads.profile?.objectValue
        metadata = payloads.metadata?.objectValue
        data = readsData ? payloads.data?.objectValue : nil
    }

    /// A string, or a number or truth value as text.
    func text(_ keys: String...) -> String? {
        find(keys) { value in
            switch value {
            case .string(let text): text
            case .bool, .int, .unsigned, .double: value.compactText
            case .null, .array, .object: nil
            }
        }
    }

    /// What is said of a tool: a string that is not blank, of the profile or the metadata themselves.
    func fact(_ keys: [String]) -> String? {
        for key in keys {
            let own = GenAILookup.defined.contains(key) ? nil : profile?[key]
            if let text = GenAILookup.notBlank(own) ?? GenAILookup.notBlank(metadata?[key]) { return text }
        }
        return nil
    }

    /// A string that is not blank.
    func words(_ key: String) -> String? { find([key], GenAILookup.notBlank) }

    static func notBlank(_ value: JSONValue?) -> String? {
        guard let text = value?.stringValue else { return nil }
        return text.unicodeScalars.allSatisfy(\.properties.isWhitespace) ? nil : text
    }

    /// A signed integer, never from a float or a text.
    ///
    /// - Parameter least: what is smaller is passed over.
    func integer(_ keys: String..., least: Int64 = .min) -> Int64? {
        find(keys) { value in value.int64Value.flatMap { $0 < least ? nil : $0 } }
    }

    /// A string that is not blank as a list of itself, or the strings of a list that are not empty.
    func list(_ keys: String...) -> [String]? {
        find(keys) { value in
            guard let elements = value.arrayValue else { return GenAILookup.notBlank(value).map { [$0] } }
            let texts = elements.compactMap(\.stringValue)
            let said = texts.filter { !$0.isEmpty }
            return texts.count == elements.count && !said.isEmpty ? said : nil
        }
    }

    private func find<Value>(_ keys: [String], _ convert: (JSONValue) -> Value?) -> Value? {
        if let profile, !profile.isEmpty {
            for key in keys {
                if let value = profile[key].flatMap(convert), !GenAILookup.defined.contains(key) { return value }
            }
        }
        for object in [metadata, data] {
            guard let object, !object.isEmpty else { continue }
            for key in keys {
                if let value = GenAILookup.member(key, of: object).flatMap(convert) { return value }
            }
        }
        return nil
    }

    private static func member(_ key: String, of object: JSONObject) -> JSONValue? {
        if let own = object[key] { return own }
        for name in nested {
            if let value = object[name]?[key] { return value }
        }
        return nil
    }
}
