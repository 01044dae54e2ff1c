internal import ATOF
internal import Middleware

enum PatternProperties {
    /// A pattern is refused with a place within it, or finds parts of the text one behind the other.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        let text = String(decoding: lines[0], as: UTF8.self)
        let pattern: Pattern
        do throws(PatternError) {
            pattern = try Pattern(text)
        } catch {
            let last = text.unicodeScalars.count + 1
            try FuzzFailure.unless((1...last).contains(error.position ?? 1), "an error at \(error.position ?? 0)")
            return
        }
        let subject = lines.count > 1 ? Array(String(decoding: lines[1], as: UTF8.self).utf8) : []
        let matches = subject.withUnsafeBufferPointer { pattern.allMatches(in: $0) }
        var end = 0
        for match in matches {
            try FuzzFailure.unless(
                match.lowerBound >= end && match.upperBound <= subject.count, "\(match) behind \(end)")
            for bound in [match.lowerBound, match.upperBound] where bound < subject.count {
                try FuzzFailure.unless(subject[bound] & 0xC0 != 0x80, "\(bound) is within a character")
            }
            end = match.upperBound
        }
        var settings = BuiltinRedaction()
        settings.action = .regexReplace
        settings.matcher = .pattern(text)
        settings.replacement = "<$0$1>"
        for compatibility in Compatibility.allCases {
            guard let redactor = try? Redactor(settings, compatibility: compatibility) else {
                throw FuzzFailure("a pattern that is valid alone and not for a redactor")
            }
            _ = redactor.redact(document: .string(String(decoding: subject, as: UTF8.self)))
        }
    }

    static let seeds: [[UInt8]] = [
        "a|b\nab", #"(?i)\bbearer\s+[0-9a-z._~+/-]{12,}={0,2}\b"# + "\nBearer abcdefghijklmn== é",
        #"[[:upper:]&&[^EMP]]+?"# + "\nEMPLOY", #"(?P<n>\p{Greek}+)(\d{2})*"# + "\nαβ12", #"(?x) a # b"# + "\na",
        #"(?m)^\w+$|\b{start-half}\x{e9}"# + "\nén\nx", #"(|a)*(?-u:\B)"# + "\naéa", #"[a-c~~b-d]--"# + "\na--",
        #"((a{2,3}?)+|[^]a-])\z"# + "\naaa", #"(?R)(?s-u:[a-z])$"# + "\na\r\n",
    ].map { Array($0.utf8) }
}
