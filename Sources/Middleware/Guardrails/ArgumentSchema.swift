package import ATOF
internal import CValijson

extension GuardrailRule {
    /// A JSON Schema that is ready to be used; the same as another one of the same text.
    package struct ArgumentSchema: Sendable, Hashable {
        /// Of the schema with its references written out, in bytes.
        static let longest = 262_144

        /// Whether it says nothing that a value could violate.
        package let allowsEverything: Bool
        private let source: JSONValue
        private let compiled: CompiledSchema

        /// - Throws: what is wrong with the schema, or cannot be checked.
        package init(_ schema: JSONValue) throws(SchemaError) {
            source = schema
            var reader = try SchemaReader(schema)
            let read = try reader.read()
            allowsEverything = read == true || read == [:]
            let text = JSONWriter.bytes(of: read)
            guard text.count <= ArgumentSchema.longest else {
                throw SchemaError(pointer: "", reason: "is longer than \(ArgumentSchema.longest) bytes")
            }
            compiled = try CompiledSchema(text, reader.patterns)
        }

        /// Nil when the value conforms. What cannot be checked within bounds does not.
        package func violation(by value: JSONValue) -> Violation? {
            compiled.violation(in: JSONWriter.bytes(of: value))
        }

        package static func == (left: Self, right: Self) -> Bool { left.source == right.source }

        package func hash(into hasher: inout Hasher) { hasher.combine(source) }
    }

    /// What a value that does not conform to a schema violates. Holds nothing of the value: names are those of the schema.
    package enum Violation: Sendable, Hashable {
        /// A keyword, and by RFC 6901 where; the name of a member that the schema does not name is `*`.
        case keyword(String, at: String)
        /// Not known, for it could not be checked.
        case unchecked(Obstacle)

        /// Why a value cannot be checked.
        package enum Obstacle: String, Sendable, Hashable {
            case tooDeep = "too_deep"
            case tooLarge = "too_large"
            case failed
        }

        /// - Parameter pointer: of the value in the arguments.
        func text(below pointer: String) -> String {
            switch self {
            case .keyword(let keyword, let place):
                let whole = pointer + place
                // It is never the condition itself that is not met.
                let words = keyword == "if" ? "then or else of an if" : keyword
                return "\(words) is violated" + (whole.isEmpty ? "" : " at \(whole)")
            case .unchecked(.tooDeep): return "nested too deeply to be checked"
            case .unchecked(.tooLarge): return "too large to be checked"
            case .unchecked(.failed): return "cannot be checked"
            }
        }
    }
}

/// A schema as valijson knows it. Immutable, so any number of threads may check with it.
private final class CompiledSchema: Sendable {
    // Safe to send: nothing changes in it.
    private nonisolated(unsafe) let handle: OpaquePointer
    private let patterns: [Pattern]

    init(_ text: [UInt8], _ patterns: [Pattern]) throws(SchemaError) {
        var message = [UInt8](repeating: 0, count: 200)
        let compiled = message.withUnsafeMutableBytes { room in
            skein_schema_compile(text, text.count, room.baseAddress?.assumingMemoryBound(to: CChar.self), room.count)
        }
        guard let compiled else {
            let problem = String(decoding: message.prefix { $0 != 0 }, as: UTF8.self)
            throw SchemaError(pointer: "", reason: "cannot be compiled: \(problem)")
        }
        handle = compiled
        self.patterns = patterns
    }

    deinit { skein_schema_destroy(handle) }

    func violation(in text: [UInt8]) -> GuardrailRule.Violation? {
        var found = skein_schema_violation()
        let result = skein_schema_check(
            handle, text, text.count,
            { schema, index, text, length in
                guard let schema else { return false }
                let expression = Unmanaged<CompiledSchema>.fromOpaque(schema).takeUnretainedValue().patterns[index]
                return expression.firstMatch(in: UnsafeBufferPointer(start: text, count: length), from: 0) != nil
            }, Unmanaged.passUnretained(self).toOpaque(), &found)
        switch result {
        case SKEIN_SCHEMA_CONFORMS: return nil
        case SKEIN_SCHEMA_VIOLATES:
            return .keyword(CompiledSchema.text(found.keyword), at: CompiledSchema.text(found.pointer))
        case SKEIN_SCHEMA_TOO_DEEP: return .unchecked(.tooDeep)
        case SKEIN_SCHEMA_TOO_LARGE: return .unchecked(.tooLarge)
        default: return .unchecked(.failed)
        }
    }

    /// The text in an array of C, up to its zero.
    private static func text<Characters>(_ characters: Characters) -> String {
        withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension JSONWriter {
    fileprivate static func bytes(of value: JSONValue) -> [UInt8] {
        var writer = JSONWriter()
        writer.write(value)
        return writer.bytes
    }
}
