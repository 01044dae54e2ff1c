extension Detector {
    /// What the reference looks for (`middleware-guardrails-pii.md` 8.3, with the differences of its release 0.10.4).
    var strictExpression: String {
        switch self {
        case .email: #"[0-9A-Za-z._%+-]+@[0-9A-Za-z.-]+[.][A-Za-z]{2,}"#
        case .phone: #"[+]?[0-9](?:[0-9()-]|\s){6,}[0-9]"#
        case .apiKey: #"\b[srpa]k-[0-9A-Za-z_-]{8,}"#
        case .ipAddress: #"\b\d{1,3}(?:[.]\d{1,3}){3}\b"#
        case .ipv6: Detector.strictIPv6
        case .url: #"https?:/{2}\S+"#
        case .uuid: #"\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[1-8][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}\b"#
        case .bearerToken: #"(?i)\bbearer\s+[0-9a-z._~+/-]{12,}={0,2}\b"#
        case .jwt: #"\beyJ(?:[0-9A-Za-z_-]+[.]){2}[0-9A-Za-z_-]+\b"#
        case .creditCard: #"\b\d(?:[ -]?\d){12,18}[ -]?\b"#
        case .awsAccessKeyID:
            #"\b(?:A3T[0-9A-Z]|A(?:KIA|SIA|BIA|CCA|GPA|IDA|IPA|NPA|NVA|PKA|ROA|USA))[0-9A-Z]{16}\b"#
        case .awsSecretAccessKey: #"\b[0-9A-Za-z+/=]{40}\b"#
        case .gcpAPIKey: #"\bAIza[0-9A-Za-z_-]{35}\b"#
        case .azureStorageAccountKey: #"\b[0-9A-Za-z+/]{86}={2}"#
        }
    }

    private static let strictIPv6: String = {
        let hex = "[0-9A-Fa-f]{1,4}"
        let tails = (1...6).reversed().map { "(?:\(hex):){1,\($0)}(?::\(hex)){1,\(7 - $0)}" }
        // Two groups, which replacements of users may name.
        return (["(\(hex):){7}\(hex)", "(\(hex):){1,7}:"] + tails + [":(?:(?::\(hex)){1,7}|:)"])
            .joined(separator: "|")
    }()

    /// What Skein looks for: candidates, of which `DetectorMatcher` takes those that can be what they look like.
    ///
    /// Word boundaries are those of ASCII, so a secret is found between letters of other scripts too, and RE2 alone answers for every
    /// text.
    var expression: String {
        switch self {
        case .email:
            // Scripts that write no spaces are left out in front, else the sentence before an address would be part of it. For the same
            // reason a top-level domain is of such a script or of others.
            "[\(Detector.alphanumerics)._%+-]+@[\\p{L}\\p{M}\\p{N}.-]+[.]"
                + "(?:xn--[0-9A-Za-z-]+|\(Detector.letters){2,}|\\p{L}{2,})"
        case .phone:
            #"(?:[+＋]?\d{1,3}[ .-]?)?[(]?\d{3}[)]?[ .-]?\d{3}[.]\d{4}"#
                + #"|[+＋]?\d(?:[\d()\p{Pd}\x{2212}]|\s){6,}\d"#
                + #"|[+＋]?\d{1,4}(?:[.]\d{2,4}){2,5}"#
        case .apiKey: #"(?-u:\b)[srpa]k-[0-9A-Za-z_-]{8,}"#
        case .ipAddress: #"\d{1,3}(?:[.]\d{1,3}){3}"#
        case .ipv6: #"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*(?:[.][0-9]{1,3})*(?:%[0-9A-Za-z_~-]+)?"#
        case .url: #"(?i)https?://[^\s<>"]+"#
        case .uuid:
            #"(?-u:\b)[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[1-8][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}(?-u:\b)"#
        case .bearerToken: #"(?i)(?-u:\b)bearer\s+[0-9a-z._~+/-]{12,}=*"#
        case .jwt:
            #"(?-u:\b)eyJ[0-9A-Za-z_-]+[.][0-9A-Za-z_-]+[.](?:[0-9A-Za-z_-]+(?:[.][0-9A-Za-z_-]+){0,2})?"#
        case .creditCard:
            // What is often between numbers of other kinds counts only where the groups are those of cards. Lines are apart.
            #"\d(?:[\s\p{Pd}\x{2212}&&[^\n\r\x{0B}\x{0C}\x{85}\x{2028}\x{2029}]]{0,3}\d){12,}"#
                + #"|\d{4}(?:[._/]\d{4}){2}[._/]\d{1,4}(?:[._/]\d{1,3})?|\d{4}[._/]\d{6}[._/]\d{4,5}"#
        case .awsAccessKeyID:
            #"(?-u:\b)(?:A3T[0-9A-Z]|A(?:KIA|SIA|BIA|CCA|GPA|IDA|IPA|NPA|NVA|PKA|ROA|USA))[0-9A-Z]{16}(?-u:\b)"#
        case .awsSecretAccessKey: #"[0-9A-Za-z+/=]{40,}"#
        case .gcpAPIKey: #"(?-u:\b)AIza[0-9A-Za-z_-]{35}"#
        case .azureStorageAccountKey: #"[0-9A-Za-z+/]{86,}={2}"#
        }
    }

    private static let spaceless =
        #"\x{E00}-\x{EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{2E80}-\x{A4CF}\x{AC00}-\x{D7FF}\x{F900}-\x{FAFF}"#
        + #"\x{FF66}-\x{FFDC}\x{20000}-\x{3FFFF}"#
    private static let letters = #"[\p{L}&&[^\#(spaceless)]]"#
    private static let alphanumerics = #"[[\p{L}\p{M}\p{N}]&&[^\#(spaceless)]]"#

    /// No match has fewer bytes, neither of a strict expression nor of Skein's.
    var shortestMatch: Int {
        switch self {
        case .ipv6: 2
        case .email: 6
        case .ipAddress, .jwt: 7
        case .phone, .url: 8
        case .apiKey: 11
        case .creditCard: 13
        case .bearerToken: 19
        case .awsAccessKeyID: 20
        case .uuid: 36
        case .gcpAPIKey: 39
        case .awsSecretAccessKey: 40
        case .azureStorageAccountKey: 88
        }
    }

    /// A byte that every match has, which is quickly looked for.
    var requiredByte: UInt8? {
        switch self {
        case .email: UInt8(ascii: "@")
        case .ipAddress, .jwt: UInt8(ascii: ".")
        case .ipv6, .url: UInt8(ascii: ":")
        case .apiKey, .uuid: UInt8(ascii: "-")
        case .azureStorageAccountKey: UInt8(ascii: "=")
        case .gcpAPIKey: UInt8(ascii: "z")
        case .phone, .bearerToken, .creditCard, .awsAccessKeyID, .awsSecretAccessKey: nil
        }
    }
}
