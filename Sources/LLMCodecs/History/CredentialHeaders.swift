package import ATOF

/// Headers of requests that hold secrets (`codecs-and-pricing.md` 6).
package enum CredentialHeaders {
    private static let names: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "anthropic-api-key",
        "x-goog-api-key",
    ]

    /// The headers without those that hold secrets; the case of names does not matter.
    package static func removed(from headers: JSONObject) -> JSONObject {
        JSONObject(headers.filter { !names.contains($0.key.asciiLowercased) }.map { ($0.key, $0.value) })
    }
}
