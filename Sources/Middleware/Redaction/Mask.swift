internal import ATOF

/// What is left of a text that is masked: counted in Unicode scalars (`middleware-guardrails-pii.md` 8.2).
struct Mask: Sendable, Hashable {
    /// Stands for each hidden character; may be several characters.
    var character = "*"
    var compatibility = Compatibility.skein

    /// Keeps so many scalars at both ends. A text that is no longer is hidden completely; the reference leaves it as it is.
    func keeping(_ text: some Sequence<Unicode.Scalar>, prefix: Int, suffix: Int) -> String {
        let scalars = Array(text)
        let (kept, overflow) = prefix.addingReportingOverflow(suffix)
        guard !overflow, scalars.count > kept else {
            return compatibility == .strict ? String(scalars) : hidden(scalars.count)
        }
        return String(scalars.prefix(prefix)) + hidden(scalars.count - kept) + String(scalars.suffix(suffix))
    }

    func hidden(_ count: Int) -> String { String(repeating: character, count: count) }

    private var isStrict: Bool { compatibility == .strict }
}

extension Mask {
    /// The mask that belongs to a detector (8.3).
    func masked(_ match: String, as detector: Detector) -> String {
        let text = Array(match.unicodeScalars)
        switch detector {
        case .email: return email(text)
        case .phone, .creditCard: return digits(text)
        case .apiKey:
            guard let hyphen = text.firstIndex(of: "-") else { return keeping(text, prefix: 0, suffix: 4) }
            return String(text[...hyphen]) + keeping(text[(hyphen + 1)...], prefix: 0, suffix: 4)
        case .ipAddress: return ipAddress(text[...])
        case .ipv6: return ipv6(text)
        case .url: return url(text)
        case .uuid: return keeping(text, prefix: 0, suffix: 4)
        case .bearerToken:
            let scheme = text.prefix { !$0.properties.isWhitespace }
            let token = text[scheme.count...].drop(while: \.properties.isWhitespace)
            return String(scheme) + " " + keeping(token, prefix: 0, suffix: 4)
        case .jwt:
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count >= 3 else { return hidden(text.count) }
            let middle = parts[1..<(parts.count - 1)].map { hidden($0.count) }
            return ([String(parts[0])] + middle + [keeping(parts[parts.count - 1], prefix: 0, suffix: 6)])
                .joined(separator: ".")
        case .awsAccessKeyID: return keeping(text, prefix: 4, suffix: 4)
        case .awsSecretAccessKey, .azureStorageAccountKey: return keeping(text, prefix: 0, suffix: 4)
        case .gcpAPIKey: return keeping(text, prefix: 6, suffix: 4)
        }
    }

    /// The first character of the local part and the domain stay.
    private func email(_ text: [Unicode.Scalar]) -> String {
        guard let at = text.firstIndex(of: "@") else { return hidden(text.count) }
        if at == 1, !isStrict { return hidden(1) + String(text[at...]) }
        return String(text.prefix(1)) + hidden(at - 1) + String(text[at...])
    }

    /// All digits but the last four; what separates them stays. The reference knows the digits of ASCII only.
    private func digits(_ text: [Unicode.Scalar]) -> String {
        func isDigit(_ scalar: Unicode.Scalar) -> Bool {
            "0"..."9" ~= scalar || !isStrict && scalar.properties.generalCategory == .decimalNumber
        }
        let count = text.count(where: isDigit)
        if isStrict, count <= 4 { return String(text) }
        var left = count > 4 ? count - 4 : count
        var result = ""
        for scalar in text {
            if left > 0, isDigit(scalar) {
                left -= 1
                result += character
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private func ipAddress(_ text: ArraySlice<Unicode.Scalar>) -> String {
        let octets = text.split(separator: ".", omittingEmptySubsequences: false)
        guard octets.count == 4 else { return hidden(text.count) }
        return (octets.dropLast().map { _ in hidden(3) } + [String(octets[3])]).joined(separator: ".")
    }

    private func ipv6(_ text: [Unicode.Scalar]) -> String {
        let address = text.prefix { $0 != "%" }
        var segments = address.split(separator: ":", omittingEmptySubsequences: false)
        if segments.count < 3 { return hidden(text.count) }
        let last = segments.removeLast()
        var masked = segments.map { $0.isEmpty ? "" : hidden(4) }
        if isStrict { return (masked + [String(text[last.startIndex...])]).joined(separator: ":") }
        // Nothing but the last segment would be all that there is, or an address of version 4.
        let isLastAll = segments.allSatisfy(\.isEmpty)
        masked.append(last.contains(".") ? ipAddress(last) : isLastAll ? hidden(last.count) : String(last))
        return masked.joined(separator: ":") + hidden(text.count - address.count)
    }

    /// Scheme and host stay; user information goes, and what is behind the host is one mask character.
    private func url(_ text: [Unicode.Scalar]) -> String {
        let ends: [Unicode.Scalar] = ["/", "?", "#", "\\"]
        guard let colon = text.firstIndex(of: ":"), colon + 3 < text.count else {
            return compatibility == .strict ? String(text) : hidden(text.count)
        }
        let start = colon + 3
        let end = text[start...].firstIndex { ends.contains($0) } ?? text.count
        let authority = text[start..<end]
        let host = authority.lastIndex(of: "@").map { authority[($0 + 1)...] } ?? authority
        if host.isEmpty { return hidden(text.count) }
        return String(text[..<start]) + String(host) + (end < text.count ? "/" + character : "")
    }
}

extension String {
    fileprivate init(_ scalars: some Sequence<Unicode.Scalar>) {
        self = String(String.UnicodeScalarView(scalars))
    }
}
