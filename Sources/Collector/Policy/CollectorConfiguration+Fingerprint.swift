internal import ATOF
internal import SHA2

extension CollectorConfiguration {
    /// What tells this policy from another one, for members to announce: 16 hexadecimal digits, or `none` without any component that is
    /// policy.
    ///
    /// Of the document that the layers make, not of what is read from it: equal policies that are written in other words differ.
    package var policyFingerprint: String {
        let components = (document.root["components"]?.arrayValue ?? []).filter { component in
            guard component["enabled"] != false, let reader = ComponentReader.of(component["kind"]?.stringValue ?? "")
            else { return false }
            return reader.isPolicy
        }
        if components.isEmpty, compatibility == .skein { return "none" }
        // The order of components says nothing: there is one of a kind.
        let texts = components.map { JSONValue.array([$0["kind"] ?? .null, $0["config"] ?? [:]]).compactText }.sorted()
        let whole = ([compatibility.rawValue] + texts + pricingFiles).joined(separator: "\n")
        let digits = SHA256.digest(Array(whole.utf8)).prefix(8).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        return digits.joined()
    }
}
