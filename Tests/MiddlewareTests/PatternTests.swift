import ATOF
import Testing

@testable import Middleware

/// What the matches are was seen in nemo-relay 0.10.4, which uses Rust's `regex` crate.
@Suite("Patterns")
struct PatternTests {
    static let replaced: [(pattern: String, text: String, expected: String)] = [
        // Leftmost, first alternative, greedy or lazy.
        ("a|ab", "abab", "<a>b<a>b"), ("a+?", "aaa", "<a><a><a>"), ("(?U)a+", "aaa", "<a><a><a>"),
        ("(?U)a+?", "aaa", "<aaa>"), ("a{2}", "aaaaa", "<aa><aa>a"), ("a{2,}", "aaaaa", "<aaaaa>"),
        ("a**", "baab", "<>b<aa>b<>"),
        // Empty matches are told once, and not behind another match.
        ("a*", "baab", "<>b<aa>b<>"), ("", "é1", "<>é<>1<>"),
        // Unicode, unless it is switched off.
        (#"\d+"#, "1٣４", "<1٣４>"), (#"(?-u:\d)+"#, "1٣４", "<1>٣４"), (#"\w+"#, "é中_\u{301}-", "<é中_\u{301}>-"),
        (#"\s"#, "a\u{A0}\u{3000}b", "a<\u{A0}><\u{3000}>b"), (#"(?i)k"#, "k\u{212A}", "<k><\u{212A}>"),
        (#"(?i-u)k"#, "kK\u{212A}", "<k><K>\u{212A}"), (#"(?i)ß"#, "ß\u{1E9E}", "<ß><\u{1E9E}>"),
        (#"(?i)σ"#, "σςΣ", "<σ><ς><Σ>"), (#"(?i)s"#, "\u{17F}", "<\u{17F}>"),
        // Word boundaries, in ASCII and beyond.
        (#"\b\w"#, "ab cd", "<a>b <c>d"), (#"\bмир\b"#, "мир мира", "<мир> мира"),
        (#"\be\b"#, "e e\u{301}", "<e> e\u{301}"),
        (#"(?-u:\b)a"#, "éa a", "é<a> <a>"), (#"\ba"#, "éa a", "éa <a>"), (#"\Bb"#, "éb b", "é<b> b"),
        (#"\b{start}a"#, "aa é a", "<a>a é <a>"), (#"a\>"#, "aa", "a<a>"), (#"\b{end-half}a"#, "a a", "a a"),
        // Lines.
        ("(?m)^", "a\nb", "<>a\n<>b"), ("(?m)$", "a\nb", "a<>\nb<>"), ("$", "a\n", "a\n<>"), (".", "\na", "\n<a>"),
        ("(?s).", "\na", "<\n><a>"), ("(?mR)$", "a\r\nb", "a<>\r\nb<>"),
        // Classes.
        ("[[:upper:]&&[^EMP]]", "EMPLOY", "EMP<L><O><Y>"), ("[a-c--b]", "abc", "<a>b<c>"),
        ("[a-c~~b-d]", "abcd", "<a>bc<d>"),
        ("[]a]", "]a-", "<]><a>-"), ("[^]a]", "]a-", "]a<->"), ("[-a]", "-a", "<-><a>"), ("[a-]", "-a", "<-><a>"),
        (#"\p{Cyrillic}+"#, "abмир", "ab<мир>"), (#"\p{Greek}"#, "aα", "a<α>"), (#"\pL"#, "1é", "1<é>"),
        (#"\P{Lu}"#, "aA", "<a>A"), (#"\p{sc=Latin}"#, "aя", "<a>я"), (#"[\p{L}&&\p{ASCII}]"#, "éa", "é<a>"),
        // Escapes, comments.
        (#"\x41\x{e9}\u0431\U00000062"#, "Aéбb", "<Aéбb>"), ("(?x) a  b # no more\n", "ab", "<ab>"),
        (##"\-\ \#"##, "- #", "<- #>"),
        // Limits of counted repetitions.
        ("a{1000}", String(repeating: "a", count: 1000), "<\(String(repeating: "a", count: 1000))>"),
    ]

    @Test("find what Rust's crate finds", arguments: replaced)
    func finds(_ row: (pattern: String, text: String, expected: String)) throws {
        #expect(try Self.marked(Pattern(row.pattern), row.text) == row.expected)
    }

    private static func marked(_ pattern: Pattern, _ text: String) -> String {
        var text = text
        return text.withUTF8 { bytes in
            var result: [UInt8] = []
            var index = 0
            for match in pattern.allMatches(in: bytes) {
                result += bytes[index..<match.lowerBound] + Array("<".utf8) + bytes[match] + Array(">".utf8)
                index = match.upperBound
            }
            return String(decoding: result + bytes[index...], as: UTF8.self)
        }
    }

    static let refused: [(pattern: String, position: Int?, reason: String)] = [
        ("(unclosed", 1, "unclosed group"), ("a)", 2, "unopened group"), ("EMP(?=-)", 4, "look-around"),
        ("(?<!a)b", 1, "look-around"), (#"(a)\1"#, 4, "back references"), ("*a", 1, "repetition operator"),
        ("a{", 2, "unclosed counted repetition"), ("a{2,1}", 2, "at least 2 and at most 1"),
        ("a{,2}", 2, "decimal number"),
        ("[a", 1, "unclosed class"), ("[z-a]", 2, "ends before it begins"), (#"[a-\d]"#, 2, "range ends"),
        (#"[\d-z]"#, 2, "range begins"), ("[]", 1, "unclosed class"), (#"\q"#, 1, "unknown escape"),
        (#"\p{Foo}"#, 1, "unknown class"),
        ("(?z)a", 3, "unknown flag"), ("(?ii)a", 4, "twice"), ("(?-)a", 4, "no flag"),
        ("(?P<n>a)(?P<n>b)", 13, "same name"),
        ("(?P<1>a)", 5, "name of a group"), (#"\xZZ"#, 1, "hexadecimal"), (#"\u{110000}"#, 1, "hexadecimal"),
        (#"\"#, 1, "ends with a backslash"),
        (#"(?-u:\xff)"#, 6, "flag `u`"), ("(?-u:.)", 6, "flag `u`"), (#"[\b]"#, 2, "no meaning"),
        ("(?:a{100}){100}", nil, "1000 copies"), ("a{100001}", 2, "100,000"),
        (String(repeating: "(", count: 300), 251, "nested deeper"),
        (String(repeating: "a", count: 20_000), nil, "longer than"),
    ]

    @Test("say what is wrong and where", arguments: refused)
    func refuses(_ row: (pattern: String, position: Int?, reason: String)) {
        let error = #expect(throws: PatternError.self) { try Pattern(row.pattern) }
        #expect(error?.position == row.position)
        #expect(error?.reason.contains(row.reason) == true, "\(error?.reason ?? "")")
    }

    @Test("are found by RE2 and by the machine alike")
    func machine() throws {
        let atoms = [
            "a", "b", "é", "[ab]", "[^a]", ".", "(a)", "(?:ab)", "a|b", "(|a)", #"\d"#, "^", "$", "(?m)^", "(?-u:\\b)",
            "(?-u:\\B)",
        ]
        var random = SystemRandomNumberGenerator()
        for _ in 0..<400 {
            var text = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                atoms.randomElement()! + ["", "", "*", "+", "?", "*?", "{2}"].randomElement()!
            }.joined()
            text = text.replacing("^*", with: "^").replacing("$*", with: "$")
            guard let pattern = try? Pattern(text) else { continue }
            var parser = PatternParser(text)
            let machine = PatternMachine(try parser.parse(), groups: parser.groupNames.count)
            var input = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                ["a", "b", "é", "1", "\n"].randomElement()!
            }.joined()
            input.withUTF8 { bytes in
                let found = machine.search(bytes, from: 0, wantsGroups: false).map { $0[0]..<$0[1] }
                #expect(found == pattern.firstMatch(in: bytes, from: 0), "\(text) in \(Array(bytes))")
            }
        }
    }

    static let templates: [(template: String, expected: String)] = [
        ("$1", "a"), ("$2", "b"), ("$3", ""), ("$1x", ""), ("${1}x", "ax"), ("$n", "b"), ("${n}", "b"), ("$$1", "$1"),
        ("$", "$"),
        ("${1", "${1"),
        ("$-", "$-"), ("[$0]", "[ab]"), ("${}", ""), ("$01", "a"),
    ]

    @Test("are replaced as templates say", arguments: templates)
    func template(_ row: (template: String, expected: String)) throws {
        var settings = BuiltinRedaction()
        settings.action = .regexReplace
        settings.matcher = .pattern("(a)(?P<n>b)")
        settings.replacement = row.template
        #expect(try Redactor(settings, compatibility: .strict).redact(text: "ab") ?? "ab" == row.expected)
    }
}
