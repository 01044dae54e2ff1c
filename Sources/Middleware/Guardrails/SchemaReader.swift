internal import ATOF

/// Reads a JSON Schema of drafts 4 to 7: whether it is one, whether all of it can be checked within bounds, and what it says in the few
/// words that `CValijson` knows.
///
/// What would not be checked is an error, never left out: a schema that is obeyed by halves is worse than none.
struct SchemaReader {
    /// Schemas within schemas, with references written out. So many are checked on a small stack.
    static let deepest = 24
    /// Of all schemas, with references written out: what a value costs has a bound.
    static let most = 1000
    /// Of a value in `const` and `enum`.
    private static let deepestValue = 8
    /// From here on numbers that differ are the same to valijson, which compares doubles.
    private static let largestInteger = 9_007_199_254_740_991

    private let root: JSONValue
    private let isDraft4: Bool
    private var count = 0
    /// The references that are being followed; the whole is being read from the beginning.
    private var followed: Set<String> = ["#"]
    /// In the order of their indexes, by which the schema that comes out calls them.
    private(set) var patterns: [Pattern] = []

    init(_ root: JSONValue) throws(SchemaError) {
        self.root = root
        guard let draft = root["$schema"] else {
            isDraft4 = false
            return
        }
        let name = draft.stringValue.map { $0.hasSuffix("#") ? String($0.dropLast()) : $0 } ?? ""
        let known = ["draft-04", "draft-06", "draft-07"].first { draft in
            ["http", "https"].contains { name == "\($0)://json-schema.org/\(draft)/schema" }
        }
        guard let known else {
            throw SchemaError(
                pointer: "/$schema",
                reason: "must be draft-04, draft-06 or draft-07; leave it out if the schema has no newer keywords")
        }
        isDraft4 = known == "draft-04"
    }

    /// The whole schema without references, annotations and other drafts' words, and with the index of a pattern in its place.
    mutating func read() throws(SchemaError) -> JSONValue { try schema(root, "", depth: 0) }

    private mutating func schema(_ value: JSONValue, _ path: String, depth: Int) throws(SchemaError) -> JSONValue {
        guard depth <= SchemaReader.deepest else {
            throw SchemaError(pointer: path, reason: "is more than \(SchemaReader.deepest) schemas deep")
        }
        count += 1
        guard count <= SchemaReader.most else {
            throw SchemaError(
                pointer: "", reason: "has more than \(SchemaReader.most) schemas with its $refs written out")
        }
        if case .bool = value, !isDraft4 { return value }
        guard let object = value.objectValue else {
            throw SchemaError(pointer: path, reason: "must be a schema: an object\(isDraft4 ? "" : ", true or false")")
        }
        if let reference = object["$ref"] {
            for key in object.keys where key != "$ref" && !isAnnotation(key, path) {
                throw SchemaError(
                    pointer: "\(path)/\(escaped(key))",
                    reason: "would be ignored beside $ref; put the $ref into allOf")
            }
            return try target(of: reference, "\(path)/$ref", depth: depth)
        }
        var read = JSONObject()
        for (key, value) in object.map({ ($0.key, $0.value) }) where !isAnnotation(key, path) {
            let place = "\(path)/\(escaped(key))"
            read[key] = try keyword(key, value, place, in: object, depth: depth)
        }
        if isDraft4 { exclude(&read) }
        return .object(read)
    }

    /// What says nothing about values, or is read where it is referred to.
    private func isAnnotation(_ key: String, _ path: String) -> Bool {
        switch key {
        case "title", "description", "default", "examples", "$comment", "readOnly", "writeOnly", "deprecated",
            "definitions", "$defs":
            true
        // Below the root it would change what references mean.
        case "$schema", "$id", "id": path.isEmpty
        default: false
        }
    }

    private mutating func target(of reference: JSONValue, _ path: String, depth: Int) throws(SchemaError) -> JSONValue {
        guard let text = reference.stringValue, text.hasPrefix("#"), JSONValue.isPointer(String(text.dropFirst())),
            !text.contains("%")
        else {
            throw SchemaError(pointer: path, reason: "must be a place in this schema, such as \"#/definitions/path\"")
        }
        guard let found = root.value(at: String(text.dropFirst())) else {
            throw SchemaError(pointer: path, reason: "names \"\(text)\", which is not there")
        }
        guard followed.insert(text).inserted else {
            throw SchemaError(
                pointer: path, reason: "leads back to \"\(text)\"; recursive schemas cannot be checked within bounds")
        }
        defer { followed.remove(text) }
        return try schema(found, path, depth: depth + 1)
    }

    // MARK: Keywords

    private mutating func keyword(
        _ key: String, _ value: JSONValue, _ path: String, in object: JSONObject, depth: Int
    ) throws(SchemaError) -> JSONValue {
        switch key {
        case "type": return try type(value, path)
        case "enum":
            let values = try list(value, path)
            for (index, value) in values.enumerated() { try constant(value, "\(path)/\(index)", depth: 0) }
            return value
        case "minimum", "maximum": return try number(value, path)
        case "exclusiveMinimum", "exclusiveMaximum":
            guard isDraft4 else { return try number(value, path) }
            let bound = key == "exclusiveMinimum" ? "minimum" : "maximum"
            guard value.boolValue != nil, object[bound] != nil else {
                throw SchemaError(pointer: path, reason: "must be true or false beside a \(bound) in draft 4")
            }
            return value
        case "multipleOf":
            guard let divisor = integer(value), divisor > 0 else {
                throw SchemaError(
                    pointer: path, reason: "must be an integer of at least 1; fractions cannot be checked exactly")
            }
            return .int(divisor)
        case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
            guard let count = integer(value), count >= 0 else {
                throw SchemaError(pointer: path, reason: "must be an integer of at least 0")
            }
            return .int(count)
        case "uniqueItems":
            guard value.boolValue != nil else { throw SchemaError(pointer: path, reason: "must be true or false") }
            return value
        case "pattern": return try pattern(value, path)
        case "required": return try names(value, path)
        case "properties": return try schemas(value, path, depth: depth)
        case "dependencies": return try schemas(value, path, orNames: true, depth: depth)
        case "additionalProperties", "additionalItems":
            if key == "additionalItems", object["items"]?.arrayValue == nil {
                throw SchemaError(pointer: path, reason: "would be ignored without a list of items")
            }
            if case .bool = value { return value }
            return try schema(value, path, depth: depth + 1)
        case "items" where value.arrayValue == nil, "not": return try schema(value, path, depth: depth + 1)
        case "items", "allOf", "anyOf", "oneOf": return try schemaList(value, path, depth: depth)
        default: return try newer(key, value, path, in: object, depth: depth)
        }
    }

    /// What draft 4 does not have.
    private mutating func newer(
        _ key: String, _ value: JSONValue, _ path: String, in object: JSONObject, depth: Int
    ) throws(SchemaError) -> JSONValue {
        switch key {
        case "format":
            throw SchemaError(pointer: path, reason: "cannot be checked; give a pattern, or leave it out")
        case "patternProperties":
            throw SchemaError(
                pointer: path,
                reason: "cannot be checked within bounds; give propertyNames a pattern, and use additionalProperties")
        case "const" where !isDraft4:
            try constant(value, path, depth: 0)
            return value
        case "then" where !isDraft4 && object["if"] == nil, "else" where !isDraft4 && object["if"] == nil:
            throw SchemaError(pointer: path, reason: "would be ignored without if")
        case "contains" where !isDraft4, "propertyNames" where !isDraft4, "if" where !isDraft4, "then" where !isDraft4,
            "else" where !isDraft4:
            return try schema(value, path, depth: depth + 1)
        default:
            throw SchemaError(
                pointer: path, reason: "is no keyword of draft \(isDraft4 ? "4" : "7"), and would be ignored")
        }
    }

    private func type(_ value: JSONValue, _ path: String) throws(SchemaError) -> JSONValue {
        let known = ["array", "boolean", "integer", "null", "number", "object", "string"]
        let words = value.arrayValue ?? [value]
        guard !words.isEmpty, words.allSatisfy({ word in known.contains { word == .string($0) } }) else {
            throw SchemaError(pointer: path, reason: "must be one or more of \(known.joined(separator: ", "))")
        }
        return value
    }

    private func list(_ value: JSONValue, _ path: String) throws(SchemaError) -> [JSONValue] {
        guard let elements = value.arrayValue, !elements.isEmpty else {
            throw SchemaError(pointer: path, reason: "must be an array with at least one element")
        }
        return elements
    }

    private func integer(_ value: JSONValue) -> Int64? {
        value.numberValue.flatMap { Int64(exactly: $0) }.flatMap {
            $0.magnitude <= SchemaReader.largestInteger.magnitude ? $0 : nil
        }
    }

    private func number(_ value: JSONValue, _ path: String) throws(SchemaError) -> JSONValue {
        guard value.numberValue?.isFinite ?? false else { throw SchemaError(pointer: path, reason: "must be a number") }
        return value
    }

    private func constant(_ value: JSONValue, _ path: String, depth: Int) throws(SchemaError) {
        guard depth <= SchemaReader.deepestValue else {
            throw SchemaError(pointer: path, reason: "is more than \(SchemaReader.deepestValue) levels deep")
        }
        if let number = value.numberValue, abs(number) > Double(SchemaReader.largestInteger) {
            throw SchemaError(
                pointer: path, reason: "is a number beyond \(SchemaReader.largestInteger), which cannot be compared")
        }
        for (index, element) in (value.arrayValue ?? []).enumerated() {
            try constant(element, "\(path)/\(index)", depth: depth + 1)
        }
        for member in value.objectValue ?? JSONObject() {
            try constant(member.value, "\(path)/\(escaped(member.key))", depth: depth + 1)
        }
    }

    private mutating func pattern(_ value: JSONValue, _ path: String) throws(SchemaError) -> JSONValue {
        guard let text = value.stringValue else { throw SchemaError(pointer: path, reason: "must be a string") }
        do throws(PatternError) {
            patterns.append(try Pattern(text))
        } catch {
            throw SchemaError(pointer: path, reason: "is no pattern that can be used: \(error)")
        }
        return .int(Int64(patterns.count - 1))
    }

    private func names(_ value: JSONValue, _ path: String) throws(SchemaError) -> JSONValue {
        guard let elements = value.arrayValue, elements.allSatisfy({ $0.stringValue != nil }) else {
            throw SchemaError(pointer: path, reason: "must be an array of strings")
        }
        for element in elements { try name(element.stringValue ?? "", path) }
        return value
    }

    /// valijson knows names up to the first zero.
    private func name(_ text: String, _ path: String) throws(SchemaError) {
        if text.utf8.contains(0) { throw SchemaError(pointer: path, reason: "has a name with U+0000 in it") }
    }

    private mutating func schemas(
        _ value: JSONValue, _ path: String, orNames: Bool = false, depth: Int
    ) throws(SchemaError) -> JSONValue {
        guard let object = value.objectValue else { throw SchemaError(pointer: path, reason: "must be an object") }
        var read = JSONObject()
        for (key, value) in object.map({ ($0.key, $0.value) }) {
            try name(key, path)
            let place = "\(path)/\(escaped(key))"
            read[key] =
                orNames && value.arrayValue != nil
                ? try names(value, place) : try schema(value, place, depth: depth + 1)
        }
        return .object(read)
    }

    private mutating func schemaList(_ value: JSONValue, _ path: String, depth: Int) throws(SchemaError) -> JSONValue {
        var read: [JSONValue] = []
        for (index, element) in try list(value, path).enumerated() {
            read.append(try schema(element, "\(path)/\(index)", depth: depth + 1))
        }
        return .array(read)
    }

    /// Draft 7's words for draft 4's: the bound itself instead of a flag beside it.
    private func exclude(_ read: inout JSONObject) {
        for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            guard let isExclusive = read[flag]?.boolValue else { continue }
            read[flag] = isExclusive ? read[bound] : nil
            if isExclusive { read[bound] = nil }
        }
    }

    private func escaped(_ name: String) -> String {
        String(name.replacing("~", with: "~0").replacing("/", with: "~1"))
    }
}
