/// The classes of characters that patterns name, from the tables that Swift brings. Each is made once, when somebody asks for it.
enum UnicodeTables {
    static let digits = scalarsOfCategory[.decimalNumber] ?? ScalarSet()
    static let spaces = ScalarSet(where: \.isWhitespace)
    /// `\w` of UTS 18: alphabetic, marks, decimal digits, connector punctuation, and the joiners.
    static let words = ["m", "nd", "pc"].reduce(ScalarSet { $0.isAlphabetic || $0.isJoinControl }) {
        $0.union(category($1) ?? ScalarSet())
    }

    static let asciiDigits = ScalarSet([0x30...0x39])
    static let asciiSpaces = ScalarSet([0x09...0x0D, 0x20...0x20])
    static let asciiWords = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])

    /// The classes in double brackets.
    static func posix(_ name: String) -> ScalarSet? {
        switch name {
        case "alnum": ScalarSet([0x30...0x39, 0x41...0x5A, 0x61...0x7A])
        case "alpha": ScalarSet([0x41...0x5A, 0x61...0x7A])
        case "ascii": .ascii
        case "blank": ScalarSet([0x09...0x09, 0x20...0x20])
        case "cntrl": ScalarSet([0x00...0x1F, 0x7F...0x7F])
        case "digit": asciiDigits
        case "graph": ScalarSet([0x21...0x7E])
        case "lower": ScalarSet([0x61...0x7A])
        case "print": ScalarSet([0x20...0x7E])
        case "punct": ScalarSet([0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E])
        case "space": asciiSpaces
        case "upper": ScalarSet([0x41...0x5A])
        case "word": asciiWords
        case "xdigit": ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])
        default: nil
        }
    }

    /// `\p{…}`: a general category, a binary property or a script, without regard to case, spaces, hyphens and underscores.
    static func property(_ text: String) -> ScalarSet? {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == "=" || $0 == ":" }.map(folded)
        switch (parts.count, parts[0]) {
        case (1, let name): return category(name) ?? binary(name) ?? script(String(text))
        case (2, "gc"), (2, "generalcategory"): return category(parts[1])
        case (2, "sc"), (2, "script"):
            return script(text.split { $0 == "=" || $0 == ":" }.last.map(String.init) ?? "")
        default: return nil
        }
    }

    private static func folded(_ name: some StringProtocol) -> String {
        var result = String(name.lowercased().filter { $0 != " " && $0 != "-" && $0 != "_" })
        if result.hasPrefix("is"), result.count > 2 { result.removeFirst(2) }
        return result
    }

    private static func category(_ name: String) -> ScalarSet? {
        switch name {
        case "any": return .all
        case "ascii": return .ascii
        case "assigned": return ScalarSet { $0.generalCategory != .unassigned }
        default: break
        }
        guard let categories = categories[name] else { return nil }
        return categories.reduce(ScalarSet()) { $0.union(scalarsOfCategory[$1] ?? ScalarSet()) }
    }

    private static let scalarsOfCategory: [Unicode.GeneralCategory: ScalarSet] = {
        var ranges: [Unicode.GeneralCategory: [ClosedRange<UInt32>]] = [:]
        ScalarSet.forEachProbe { scalar, range in
            ranges[scalar.properties.generalCategory, default: []].append(range)
        }
        return ranges.mapValues { ScalarSet($0) }
    }()

    private static let categories: [String: Set<Unicode.GeneralCategory>] = {
        let single: [(String, String, Unicode.GeneralCategory)] = [
            ("lu", "uppercaseletter", .uppercaseLetter), ("ll", "lowercaseletter", .lowercaseLetter),
            ("lt", "titlecaseletter", .titlecaseLetter), ("lm", "modifierletter", .modifierLetter),
            ("lo", "otherletter", .otherLetter), ("mn", "nonspacingmark", .nonspacingMark),
            ("mc", "spacingmark", .spacingMark), ("me", "enclosingmark", .enclosingMark),
            ("nd", "decimalnumber", .decimalNumber), ("nl", "letternumber", .letterNumber),
            ("no", "othernumber", .otherNumber), ("pc", "connectorpunctuation", .connectorPunctuation),
            ("pd", "dashpunctuation", .dashPunctuation), ("ps", "openpunctuation", .openPunctuation),
            ("pe", "closepunctuation", .closePunctuation), ("pi", "initialpunctuation", .initialPunctuation),
            ("pf", "finalpunctuation", .finalPunctuation), ("po", "otherpunctuation", .otherPunctuation),
            ("sm", "mathsymbol", .mathSymbol), ("sc", "currencysymbol", .currencySymbol),
            ("sk", "modifiersymbol", .modifierSymbol), ("so", "othersymbol", .otherSymbol),
            ("zs", "spaceseparator", .spaceSeparator), ("zl", "lineseparator", .lineSeparator),
            ("zp", "paragraphseparator", .paragraphSeparator), ("cc", "control", .control),
            ("cf", "format", .format), ("cs", "surrogate", .surrogate), ("co", "privateuse", .privateUse),
            ("cn", "unassigned", .unassigned),
        ]
        let groups: [(String, String)] = [
            ("l", "letter"), ("m", "mark"), ("n", "number"), ("p", "punctuation"), ("s", "symbol"),
            ("z", "separator"), ("c", "other"),
        ]
        var result: [String: Set<Unicode.GeneralCategory>] = [:]
        for (short, long, category) in single {
            result[short] = [category]
            result[long] = [category]
        }
        for (short, long) in groups {
            let members = Set(single.filter { $0.0.hasPrefix(short) }.map(\.2))
            result[short] = members
            result[long] = members
        }
        result["lc"] = [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter]
        result["casedletter"] = result["lc"]
        result["digit"] = [.decimalNumber]
        result["punct"] = result["p"]
        result["cntrl"] = [.control]
        return result
    }()

    private static func binary(_ name: String) -> ScalarSet? {
        switch name {
        case "alphabetic", "alpha": ScalarSet(where: \.isAlphabetic)
        case "whitespace", "wspace", "space": spaces
        case "uppercase", "upper": ScalarSet(where: \.isUppercase)
        case "lowercase", "lower": ScalarSet(where: \.isLowercase)
        case "math": ScalarSet(where: \.isMath)
        case "dash": ScalarSet(where: \.isDash)
        case "hexdigit", "hex": ScalarSet(where: \.isHexDigit)
        case "asciihexdigit", "ahex": ScalarSet(where: \.isASCIIHexDigit)
        case "ideographic", "ideo": ScalarSet(where: \.isIdeographic)
        case "emoji": ScalarSet(where: \.isEmoji)
        case "emojipresentation", "epres": ScalarSet(where: \.isEmojiPresentation)
        case "emojimodifier", "emod": ScalarSet(where: \.isEmojiModifier)
        case "emojimodifierbase", "ebase": ScalarSet(where: \.isEmojiModifierBase)
        case "cased": ScalarSet(where: \.isCased)
        case "caseignorable", "ci": ScalarSet(where: \.isCaseIgnorable)
        case "idstart", "ids": ScalarSet(where: \.isIDStart)
        case "idcontinue", "idc": ScalarSet(where: \.isIDContinue)
        case "xidstart", "xids": ScalarSet(where: \.isXIDStart)
        case "xidcontinue", "xidc": ScalarSet(where: \.isXIDContinue)
        case "joincontrol", "joinc": ScalarSet(where: \.isJoinControl)
        case "quotationmark", "qmark": ScalarSet(where: \.isQuotationMark)
        case "diacritic", "dia": ScalarSet(where: \.isDiacritic)
        default: nil
        }
    }

    /// Swift has no table of scripts, RE2 has: what it finds in a text of all scalars is the script.
    private static func script(_ name: String) -> ScalarSet? {
        let words = name.split { $0 == "_" || $0 == " " || $0 == "-" }
        let spelled = words.map { $0.prefix(1).uppercased() + $0.dropFirst().lowercased() }.joined(separator: "_")
        guard !spelled.isEmpty, spelled.allSatisfy({ $0.isASCII && ($0.isLetter || $0 == "_") }), spelled.count > 2,
            let expression = try? RE2Expression("\\p{\(spelled)}+")
        else { return nil }
        return scalars.withUnsafeBufferPointer { text in
            var ranges: [ClosedRange<UInt32>] = []
            var from = 0
            while let match = expression.firstMatch(in: text, from: from) {
                let found = Array(String(decoding: text[match], as: UTF8.self).unicodeScalars)
                // The one gap in the text is that of the surrogates.
                ranges.append(found[0].value...found[found.count - 1].value)
                from = match.upperBound
            }
            return ScalarSet(ranges)
        }
    }

    private static let scalars: [UInt8] = (0...ScalarSet.highest).flatMap { value in
        Unicode.Scalar(value).map { Array(UTF8.encode($0)!) } ?? []
    }
}
