import ATOF
import Middleware
import Testing

@Suite("Redaction of documents")
struct RedactorTests {
    private static func settings(
        _ action: BuiltinRedaction.Action, _ matcher: BuiltinRedaction.Matcher = .everything, paths: [String] = [],
        globs: [String] = []
    ) -> BuiltinRedaction {
        var settings = BuiltinRedaction()
        settings.action = action
        settings.matcher = matcher
        settings.targetPaths = paths
        settings.targetPathGlobs = globs
        return settings
    }

    private static func result(
        _ settings: BuiltinRedaction, _ document: String, _ compatibility: Compatibility = .skein
    ) throws -> String? {
        try Redactor(settings, compatibility: compatibility).redact(document: JSONParser.parse(document))?.compactText
    }

    @Test("removes members, leaves null for elements and roots, and says when nothing was there")
    func removes() throws {
        let document = #"{"ids":["a","b"],"user":{"n":"x","ssn":1},"a/b":1,"m~n":2,"":3}"#
        let removal = { (paths: [String], globs: [String]) in
            try Self.result(Self.settings(.remove, paths: paths, globs: globs), document)
        }
        #expect(
            try removal(["/user/ssn", "/ids/0"], []) == #"{"":3,"a/b":1,"ids":[null,"b"],"m~n":2,"user":{"n":"x"}}"#)
        #expect(try removal(["/a~1b", "/m~0n", "/"], []) == #"{"ids":["a","b"],"user":{"n":"x","ssn":1}}"#)
        #expect(try removal([], ["/*/n", "/ids/*"]) == #"{"":3,"a/b":1,"ids":[null,null],"m~n":2,"user":{"ssn":1}}"#)
        #expect(try removal([""], []) == "null")
        #expect(try removal(["/user/*", "/ids/2", "/ids/00", "/x"], []) == nil)
        #expect(try removal([], ["/u*", "/**/n"]) == nil)
    }

    @Test("looks at selected strings only")
    func selects() throws {
        let document = #"{"a":["bob@x.io"],"b":"bob@x.io","c":{"bob@x.io":1}}"#
        #expect(
            try Self.result(Self.settings(.redact, .detector(.email), globs: ["/a/*", "/c/*"]), document)
                == #"{"a":["[REDACTED]"],"b":"bob@x.io","c":{"bob@x.io":1}}"#)
        #expect(
            try Self.result(Self.settings(.hash, paths: ["/c", "/b"]), document)
                == #"{"a":["bob@x.io"],"b":"\#(Self.digest)","c":{"bob@x.io":1}}"#)
    }

    /// SHA-256 of `bob@x.io`, from coreutils.
    private static let digest = "cb6a7c1e41aa9eceedd3be53483640d69c40dd2d3ca3f754d50375356f87e94d"

    @Test("sanitizes keys, and keeps what becomes the same key apart")
    func keys() throws {
        let document = #"{"a@b.io":1,"c@d.io":2,"k":{"x":3}}"#
        let settings = Self.settings(.redact, .detector(.email))
        #expect(try Self.result(settings, document) == ##"{"[REDACTED]":1,"[REDACTED] #2":2,"k":{"x":3}}"##)
        #expect(try Self.result(settings, document, .strict) == nil)
    }

    @Test("redacts numbers of payment cards and no other ones")
    func numbers() throws {
        let document =
            #"[4111111111111111,-4111111111111111,4111111111111111.0,1700000000000,14155552671,4111111111111112]"#
        let settings = Self.settings(.mask, .detector(.creditCard))
        #expect(
            try Self.result(settings, document)
                == #"["************1111","************1111","************1111",1700000000000,14155552671,4111111111111112]"#
        )
        #expect(try Self.result(settings, document, .strict) == nil)
    }

    static let nested: [(document: String, expected: String)] = [
        // JSON in a string stays JSON.
        (#"{"arguments":"{\"to\":\"bob@x.io\",\"n\":1}"}"#, #"{"arguments":"{\"n\":1,\"to\":\"[REDACTED]\"}"}"#),
        // Escapes of the inner text hide nothing.
        (#"{"a":"{\"to\":\"bob\\u0040x.io\"}"}"#, #"{"a":"{\"to\":\"[REDACTED]\"}"}"#),
        (
            #"["{\"a\":\"{\\\"to\\\":\\\"bob\\\\u0040x.io\\\"}\"}"]"#,
            #"["{\"a\":\"{\\\"to\\\":\\\"[REDACTED]\\\"}\"}"]"#
        ),
        // What is JSON in part, or was cut.
        (#"["log: {\"to\":\"bob\\u0040x.io\" and"]"#, #"["log: {\"to\":\"[REDACTED]\" and"]"#),
        (#"["{\"to\":\"\\u0062ob@x.io"]"#, #"["{\"to\":\"[REDACTED]"]"#),
        // The first of two members of one name is in the text, not in the value.
        (#"["{\"a\":\"bob@x.io\",\"a\":1}"]"#, #"["{\"a\":\"[REDACTED]\",\"a\":1}"]"#),
        (#"["{\"bob@x.io\":1}"]"#, #"["{\"[REDACTED]\":1}"]"#),
    ]

    @Test("finds what escapes hide in strings that hold JSON", arguments: nested)
    func json(_ row: (document: String, expected: String)) throws {
        #expect(try Self.result(Self.settings(.redact, .detector(.email)), row.document) == row.expected)
    }

    @Test("takes a replacement literally, and templates as templates")
    func replacements() throws {
        var settings = Self.settings(.redact, .pattern("(b)ob"))
        settings.replacement = "$1x-$$"
        #expect(try Self.result(settings, #"["bob"]"#) == #"["$1x-$$"]"#)
        settings.action = .regexReplace
        #expect(try Self.result(settings, #"["bob"]"#) == #"["-$"]"#)
    }

    @Test("hides short texts completely, which the reference leaves")
    func shortTexts() throws {
        var settings = Self.settings(.mask)
        settings.unmaskedPrefix = 2
        settings.unmaskedSuffix = 2
        settings.maskCharacter = "<>"
        #expect(try Self.result(settings, #"["abcd","abcde"]"#) == #"["<><><><>","ab<>de"]"#)
        #expect(try Self.result(settings, #"["abcd","abcde"]"#, .strict) == #"["abcd","ab<>de"]"#)
    }

    static let wrong: [(settings: BuiltinRedaction, field: String)] = {
        var empty = settings(.mask)
        empty.maskCharacter = ""
        return [
            (settings(.remove), "action"), (settings(.redact), "action"), (settings(.regexReplace), "action"),
            (settings(.redact, .pattern("(")), "pattern"), (settings(.remove, paths: ["/a", "b"]), "target_paths[1]"),
            (settings(.remove, paths: ["/a~2"]), "target_paths[0]"),
            (settings(.remove, paths: ["/a~"]), "target_paths[0]"),
            (settings(.remove, globs: ["*"]), "target_path_globs[0]"), (empty, "mask_char"),
        ]
    }()

    @Test("refuses settings that it cannot follow, and names them", arguments: wrong)
    func refuses(_ row: (settings: BuiltinRedaction, field: String)) {
        let error = #expect(throws: RedactionError.self) { try Redactor(row.settings, compatibility: .skein) }
        #expect(error?.field == row.field)
    }
}
