internal import CSimdJSON

/// A JSON text as simdjson read it: a tape, on which values are looked up and from which they are written without being made.
package struct JSONDocument: ~Copyable {
    // Safe because nobody else has the parser until it is given back.
    private let parser: OpaquePointer

    /// - Throws: `JSONRefusal` for what is not JSON or cannot be held.
    package init(_ text: UnsafeBufferPointer<UInt8>) throws(JSONRefusal) {
        try self.init(text, by: skein_json_parse)
    }

    /// Parses a text where it is.
    ///
    /// - Parameter text: `padding` bytes behind it can be read, whatever they are.
    /// - Throws: `JSONRefusal` for what is not JSON or cannot be held.
    init(padded text: UnsafeBufferPointer<UInt8>) throws(JSONRefusal) {
        try self.init(text, by: skein_json_parse_padded)
    }

    static let padding = Int(SKEIN_JSON_PADDING)

    private init(
        _ text: UnsafeBufferPointer<UInt8>,
        by parse: (OpaquePointer?, UnsafePointer<UInt8>?, Int) -> skein_json_status
    ) throws(JSONRefusal) {
        guard let base = text.baseAddress, text.count > 0 else { throw .syntax }
        guard let parser = skein_json_take_parser() else { throw .memory }
        let status = parse(parser, base, text.count)
        if let refusal = JSONDocument.refusal(status) {
            skein_json_give_parser(parser)
            throw refusal
        }
        self.parser = parser
    }

    deinit { skein_json_give_parser(parser) }

    /// Lends the value of the whole text; what is read from it must not leave `body`.
    package borrowing func withRoot<Result>(_ body: (JSONCursor) throws -> Result) rethrows -> Result {
        try body(JSONCursor(tape: skein_json_tape(parser), strings: skein_json_strings(parser), index: 1))
    }

    private static func refusal(_ status: skein_json_status) -> JSONRefusal? {
        switch status {
        case SKEIN_JSON_OK: nil
        case SKEIN_JSON_NUMBER: .number
        case SKEIN_JSON_UTF8: .utf8
        case SKEIN_JSON_STRING: .string
        case SKEIN_JSON_DEPTH: .depth
        case SKEIN_JSON_MEMORY: .memory
        default: .syntax
        }
    }
}

extension RawJSON {
    /// Lends the place of the value in the parsed payload; of a payload that simdjson refuses, what `JSONPolicy` reads it as.
    package func withRoot<Result>(_ body: (JSONCursor) throws -> Result) rethrows -> Result {
        try withBytes { bytes in
            if let document = try? JSONDocument(padded: bytes) { return try document.withRoot(body) }
            return try (JSONPolicy.repairedText(of: bytes) ?? []).withUnsafeBufferPointer { repaired in
                if let document = try? JSONDocument(repaired) { return try document.withRoot(body) }
                // There is no memory even for the repaired text.
                return try JSONCursor.withNull(body)
            }
        }
    }
}
