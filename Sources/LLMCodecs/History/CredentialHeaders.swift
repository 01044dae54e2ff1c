package import ATOF

/// Headers of requests that hold secrets (`codecs-and-pricing.md` 6).
package enum CredentialHeaders {
    private static let names: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "anthropic-api-key",
        "x-goog-api-key",
    ]
    /// What the reference lets pass: names, and ends of the names that vendors make up.
    private static let furtherNames: Set<String> = [
        "set-cookie", "private-token", "x-amz-security-token", "x-vault-token", "apikey", "x-apikey", "x-functions-key",
    ]
    private static let furtherEndings = [
        "-api-key", "-authorization", "-auth-token", "-access-token", "-api-token", "-secret", "-subscription-key",
    ]

    /// Whether a header of that name, in any case, holds a secret. Unless the reference is followed, spaces around the name do not matter,
    /// and `_` is the same as `-`.
    package static func isCredential(_ name: String, _ compatibility: Compatibility) -> Bool {
        let name = name.asciiLowercased
        if names.contains(name) { return true }
        guard compatibility == .skein else { return false }
        let plain = name.split(whereSeparator: \.isWhitespace).joined().replacing("_", with: "-")
        if plain != name { return isCredential(plain, compatibility) }
        return furtherNames.contains(name) || furtherEndings.contains { name.hasSuffix($0) }
    }

    /// The headers without those that hold secrets; the case of names does not matter.
    package static func removed(from headers: JSONObject, _ compatibility: Compatibility = .strict) -> JSONObject {
        JSONObject(headers.filter { !isCredential($0.key, compatibility) }.map { ($0.key, $0.value) })
    }
}
