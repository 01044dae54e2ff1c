internal import ATOF

/// Which detectors a text may have something for, found in one pass over its bytes.
///
/// Each detector leaves a mark that is cheap to see: an `@`, a `://`, forty characters of base 64 in a row. The scan may say yes where there
/// is nothing, and never says no where a detector's expression would match, strict or not: that is what decides whether a payload is parsed
/// at all. In JSON text it resolves escapes as it goes.
struct DetectorScan {
    /// A set of detectors.
    struct Candidates: OptionSet {
        let rawValue: UInt16

        static let all = Candidates(rawValue: (1 << UInt16(Detector.allCases.count)) - 1)

        init(rawValue: UInt16) { self.rawValue = rawValue }

        init(_ detector: Detector) {
            switch detector {
            case .email: rawValue = 1 << 0
            case .phone: rawValue = 1 << 1
            case .ipv6: rawValue = 1 << 2
            case .url: rawValue = 1 << 3
            case .uuid: rawValue = 1 << 4
            case .jwt: rawValue = 1 << 5
            case .apiKey: rawValue = 1 << 6
            case .ipAddress: rawValue = 1 << 7
            case .bearerToken: rawValue = 1 << 8
            case .creditCard: rawValue = 1 << 9
            case .awsAccessKeyID: rawValue = 1 << 10
            case .awsSecretAccessKey: rawValue = 1 << 11
            case .gcpAPIKey: rawValue = 1 << 12
            case .azureStorageAccountKey: rawValue = 1 << 13
            }
        }

        /// A date of ISO 8601, which the reference takes for a telephone number and Skein does not.
        static let date = Candidates(rawValue: 1 << 14)

        static let email = Candidates(Detector.email)
        static let phone = Candidates(Detector.phone)
        static let ipv6 = Candidates(Detector.ipv6)
        static let url = Candidates(Detector.url)
        static let uuid = Candidates(Detector.uuid)
        static let jwt = Candidates(Detector.jwt)
        static let apiKey = Candidates(Detector.apiKey)
        static let ipAddress = Candidates(Detector.ipAddress)
        static let bearerToken = Candidates(Detector.bearerToken)
        static let creditCard = Candidates(Detector.creditCard)
        static let awsAccessKeyID = Candidates(Detector.awsAccessKeyID)
        static let awsSecretAccessKey = Candidates(Detector.awsSecretAccessKey)
        static let gcpAPIKey = Candidates(Detector.gcpAPIKey)
        static let azureStorageAccountKey = Candidates(Detector.azureStorageAccountKey)
    }

    /// What a byte may be the sign of.
    private enum Sign: UInt8 {
        /// Of nothing: most letters.
        case none
        case digit, upper
        case hyphen, dot, colon, at
        /// What may be between the digits of a number and in no token.
        case space, bracket
        /// Between digits and in tokens of base 64.
        case slash
        /// In tokens of base 64, and nothing else.
        case base
        case backslash, quote
        case beyondASCII
        case other
    }

    private static let signs: [Sign] = (0...255).map { value in
        let byte = UInt8(value)
        return switch byte {
        case 0x30...0x39: .digit
        case 0x41...0x5A: .upper
        case 0x61...0x7A: .none
        case UInt8(ascii: "-"): .hyphen
        case UInt8(ascii: "."): .dot
        case UInt8(ascii: ":"): .colon
        case UInt8(ascii: "@"): .at
        case 0x09...0x0D, 0x20: .space
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "_"): .bracket
        case UInt8(ascii: "/"): .slash
        case UInt8(ascii: "+"), UInt8(ascii: "="): .base
        case UInt8(ascii: "\\"): .backslash
        case UInt8(ascii: "\""): .quote
        case 0x80...: .beyondASCII
        default: .other
        }
    }

    private let text: UnsafeBufferPointer<UInt8>
    private var found: Candidates = []
    /// Whether it is within a string; numbers that stand for themselves are those of cards or nothing.
    private var isText = true
    /// Whether a number of eight characters or more stands outside of strings.
    private var hasOuterNumber = false
    /// Behind the last byte that is in no token of base 64.
    private var tokenStart = 0
    /// Where a number began, how many digits it has, and where it would go on.
    private var numberStart = 0
    private var digits = 0
    private var numberEnd = -1
    /// Behind its last digit, when it is long enough for a telephone number.
    private var phoneEnd = -1
    private var upperCount = 0
    private var upperEnd = -1
    private var dots = 0
    private var lastDot = -100
    private var colons = 0
    private var lastColon = -100
    private var hyphens = 0
    private var lastHyphen = -100

    /// What the bytes are.
    enum Form {
        case text
        /// What a string holds that is JSON itself, or a part of it: backslashes begin escapes.
        case escaped
        /// JSON text.
        case document
    }

    static func candidates(in text: UnsafeBufferPointer<UInt8>, _ form: Form) -> Candidates {
        var scan = DetectorScan(text)
        signs.withUnsafeBufferPointer { scan.run($0, form) }
        // What is no JSON is read as one string, in which such a number is a candidate too.
        if scan.hasOuterNumber, !scan.found.contains(.phone), (try? JSONParser.validate(text)) == nil {
            scan.found.insert(.phone)
        }
        return scan.found
    }

    private init(_ text: UnsafeBufferPointer<UInt8>) { self.text = text }

    private mutating func run(_ signs: UnsafeBufferPointer<Sign>, _ form: Form) {
        isText = form != .document
        var index = 0
        while index < text.count {
            switch signs[Int(text[index])] {
            case .none, .base: break
            case .digit:
                digit(index, length: 1)
                upper(index)
            case .upper:
                upper(index)
                if text[index] == UInt8(ascii: "J"), has("ey", before: index) { found.insert(.jwt) }
                if text[index] == UInt8(ascii: "A"), has("Iza", at: index + 1) { found.insert(.gcpAPIKey) }
            case .hyphen:
                endToken(index)
                if index == numberEnd { numberEnd = index + 1 }
                hyphens = index - lastHyphen == 5 ? hyphens + 1 : 1
                lastHyphen = index
                if hyphens == 4 { found.insert(.uuid) }
                if has("k", before: index) { found.insert(.apiKey) }
            case .dot:
                endToken(index)
                if index == numberEnd { numberEnd = index + 1 }
                dot(index)
            case .colon:
                endToken(index)
                colons = index - lastColon <= 5 ? colons + 1 : 1
                if colons == 6 || index - lastColon == 1 { found.insert(.ipv6) }
                lastColon = index
                if index + 1 < text.count, text[index + 1] == UInt8(ascii: "/") || text[index + 1] == UInt8(ascii: "\\")
                {
                    found.insert(.url)
                }
            case .at:
                endToken(index)
                found.insert(.email)
            case .space: space(index, length: 1)
            case .bracket:
                endToken(index)
                if index == numberEnd { numberEnd = index + 1 }
            case .slash: if index == numberEnd { numberEnd = index + 1 }
            case .backslash:
                guard form != .text else {
                    endToken(index)
                    break
                }
                index = escape(index)
                continue
            case .beyondASCII:
                beyondASCII(index)
            case .quote:
                endToken(index)
                // No number goes on behind it, and what it was depends on which side of the quote it was.
                endNumber()
                numberEnd = -1
                if form == .document { isText.toggle() }
            case .other: endToken(index)
            }
            index += 1
        }
        endToken(text.count)
        endNumber()
    }

    /// What began with a digit and is no longer going on: a telephone number, unless it is a date and nothing else.
    private mutating func endNumber() {
        guard phoneEnd >= 0 else { return }
        let isDate = phoneEnd - numberStart == 10 && DetectorScan.isDate(at: numberStart, in: text)
        if isText { found.insert(isDate ? .date : .phone) } else { hasOuterNumber = true }
        phoneEnd = -1
    }

    /// A byte that is in no token of base 64.
    @inline(__always)
    private mutating func endToken(_ index: Int) {
        let count = index - tokenStart
        if count >= 40 {
            found.insert(.awsSecretAccessKey)
            if count >= 88 { found.insert(.azureStorageAccountKey) }
        }
        tokenStart = index + 1
    }

    @inline(__always)
    private mutating func digit(_ index: Int, length: Int) {
        if index != numberEnd {
            endNumber()
            numberStart = index
            digits = 0
            if !isText, isExponent(index) { found.insert(.creditCard) }
        }
        digits += 1
        numberEnd = index + length
        if numberEnd - numberStart >= 8 {
            phoneEnd = numberEnd
            if digits >= 13 { found.insert(.creditCard) }
        }
    }

    /// Whether digits outside of strings are those of a positive exponent: such a number has more digits than are written.
    private func isExponent(_ index: Int) -> Bool {
        guard index >= 2 else { return false }
        let mark = text[index - 1] == UInt8(ascii: "+") ? index - 2 : index - 1
        return text[mark] | 0x20 == UInt8(ascii: "e")
    }

    @inline(__always)
    private mutating func upper(_ index: Int) {
        upperCount = index == upperEnd ? upperCount + 1 : 1
        upperEnd = index + 1
        if upperCount == 20 { found.insert(.awsAccessKeyID) }
    }

    @inline(__always)
    private mutating func space(_ index: Int, length: Int) {
        endToken(index)
        if index == numberEnd { numberEnd = index + length }
        if index > 0, text[index - 1] | 0x20 == UInt8(ascii: "r"), isBearer(before: index) {
            found.insert(.bearerToken)
        }
    }

    /// Ten bytes that are a date and that nothing before makes something else.
    private static func isDate(at start: Int, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        // A plus sign, that of ASCII or a wide one.
        if start > 0, text[start - 1] == UInt8(ascii: "+") || text[start - 1] >= 0x80 { return false }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in text[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte & 15)
            }
            return value
        }
        guard text[start + 4] == UInt8(ascii: "-"), text[start + 7] == UInt8(ascii: "-"),
            let year = number(start..<start + 4), let month = number(start + 5..<start + 7),
            let day = number(start + 8..<start + 10)
        else { return false }
        return PhoneRules.isDay(year, month, day)
    }

    private func isBearer(before index: Int) -> Bool {
        guard index >= 6 else { return false }
        return zip(text[index - 6..<index], "bearer".utf8).allSatisfy { $0 | 0x20 == $1 }
    }

    /// Digits, spaces and hyphens of all scripts may be part of a number; letters are not.
    private mutating func beyondASCII(_ index: Int) {
        endToken(index)
        let first = text[index]
        guard first >= 0xC0 else {
            // Within a character: it goes on if it began so.
            if index == numberEnd { numberEnd = index + 1 }
            return
        }
        if index > 0, text[index - 1] | 0x20 == UInt8(ascii: "r"), isBearer(before: index) {
            found.insert(.bearerToken)
        }
        switch first {
        case 0xD9, 0xDB, 0xDF, 0xE0, 0xE1, 0xEA, 0xEF, 0xF0:
            // All digits beyond ASCII begin so.
            digit(index, length: 1)
        case 0xC2, 0xE2, 0xE3:
            // Spaces and hyphens begin so.
            if index == numberEnd { numberEnd = index + 1 }
        default: break
        }
    }

    /// Between the dots of an address are up to three digits, of up to four bytes each.
    private mutating func dot(_ index: Int) {
        guard index + 1 < text.count,
            text[index + 1] >= 0x80 || text[index + 1] == UInt8(ascii: "\\") || (0x30...0x39).contains(text[index + 1])
        else {
            lastDot = -100
            return
        }
        dots = index - lastDot <= 13 ? dots + 1 : 1
        lastDot = index
        if dots == 3 { found.insert(.ipAddress) }
    }

    /// - Returns: where to go on.
    private mutating func escape(_ index: Int) -> Int {
        guard let escape = JSONEscape(at: index, in: text) else {
            endToken(index)
            return index + 1
        }
        let end = index + escape.length
        switch escape.scalar {
        case "/": if index == numberEnd { numberEnd = end }
        case "\n", "\r", "\t", "\u{0B}", "\u{0C}": space(index, length: escape.length)
        case "\"", "\u{08}": endToken(index)
        case "\\":
            // A string that holds escapes itself.
            found = .all
            return text.count
        default:
            if escape.scalar.isASCII {
                found = .all
                return text.count
            }
            endToken(index)
            if escape.scalar.properties.generalCategory == .decimalNumber {
                digit(index, length: escape.length)
                // As near to the dot before as if it were not escaped.
                lastDot += escape.length - 1
            } else if index == numberEnd {
                numberEnd = end
            }
            if index > 0, text[index - 1] | 0x20 == UInt8(ascii: "r"), isBearer(before: index) {
                found.insert(.bearerToken)
            }
        }
        tokenStart = escape.scalar == "/" ? tokenStart : end
        return end
    }

    private func has(_ text: StaticString, before index: Int) -> Bool { has(text, at: index - text.utf8CodeUnitCount) }

    private func has(_ wanted: StaticString, at index: Int) -> Bool {
        guard index >= 0, index + wanted.utf8CodeUnitCount <= text.count else { return false }
        for offset in 0..<wanted.utf8CodeUnitCount where text[index + offset] != wanted.utf8Start[offset] {
            return false
        }
        return true
    }
}
