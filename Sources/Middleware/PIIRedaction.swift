package import LLMCodecs

/// The `pii_redaction` component as it was configured and found valid (`middleware-guardrails-pii.md` 8.1).
package struct PIIRedaction: Sendable, Hashable {
    /// What of an event is looked at. Profiles cover all of it.
    package struct Surfaces: Sendable, Hashable {
        package var input = true
        package var output = true
        package var mark = true
        package var toolInput = true
        package var toolOutput = true

        package init() {}
    }

    /// An enabled profile; a document without profiles is one.
    package struct Profile: Sendable, Hashable {
        /// Its place in the document, counted with the disabled ones; nil for a document without profiles.
        package var index: Int?
        package var priority: Int32 = 100
        package var builtin = BuiltinRedaction()

        package init() {}
    }

    /// For LLM calls without an annotation that says which codec they used.
    package var codec: Surface?
    package var surfaces = Surfaces()
    package var profiles: [Profile] = []

    package init() {}
}

/// The settings of one built-in redaction.
package struct BuiltinRedaction: Sendable, Hashable {
    package enum Action: String, Sendable, Hashable, CaseIterable {
        case remove, redact, hash, mask
        case regexReplace = "regex_replace"
    }

    /// What of a text is replaced.
    package enum Matcher: Sendable, Hashable {
        /// All of it.
        case everything
        /// In the syntax of Rust's `regex` crate.
        case pattern(String)
        case detector(Detector)
    }

    package enum Preset: String, Sendable, Hashable, CaseIterable {
        case trajectoryContext = "trajectory_context"
    }

    package enum CustomMarkPayloadPolicy: String, Sendable, Hashable, CaseIterable {
        case preserve
        case redactAllLeaves = "redact_all_leaves"
    }

    package var action = Action.remove
    package var matcher = Matcher.everything
    /// Nil is `[REDACTED]`.
    package var replacement: String?
    package var maskCharacter: String?
    package var unmaskedPrefix: Int?
    package var unmaskedSuffix: Int?
    /// RFC 6901 pointers, taken literally.
    package var targetPaths: [String] = []
    /// Pointers in which a segment `*` stands for any one member or index.
    package var targetPathGlobs: [String] = []
    package var preset: Preset?
    package var customMarkPayloadPolicy: CustomMarkPayloadPolicy?
    /// Attribute name to the values that metric marks may keep under the preset.
    package var metricStringAttributeAllowlist: [String: [String]]?

    package init() {}
}

/// What is recognised without a pattern of one's own (`middleware-guardrails-pii.md` 8.3).
package enum Detector: String, Sendable, Hashable, CaseIterable {
    case email, phone, ipv6, url, uuid, jwt
    case apiKey = "api_key"
    case ipAddress = "ip_address"
    case bearerToken = "bearer_token"
    case creditCard = "credit_card"
    case awsAccessKeyID = "aws_access_key_id"
    case awsSecretAccessKey = "aws_secret_access_key"
    case gcpAPIKey = "gcp_api_key"
    case azureStorageAccountKey = "azure_storage_account_key"
}
