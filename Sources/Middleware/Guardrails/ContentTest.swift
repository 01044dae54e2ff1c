internal import ATOF

extension GuardrailRule {
    /// Fires for an event in whose payloads or name one of the matchers finds something: in keys and values, and in JSON inside of strings.
    package struct ContentTest: Sendable, Hashable {
        package let matchers: [BuiltinRedaction.Matcher]
        /// What takes the place of what is found.
        package let replacement: String
        private let redactors: [Redactor]

        /// - Throws: what is wrong with a pattern.
        package init(matchers: [BuiltinRedaction.Matcher], replacement: String) throws(RedactionError) {
            self.matchers = matchers
            self.replacement = replacement
            var redactors: [Redactor] = []
            for matcher in matchers {
                var settings = BuiltinRedaction()
                settings.action = .redact
                settings.matcher = matcher
                settings.replacement = replacement
                redactors.append(try Redactor(settings, compatibility: .skein))
            }
            self.redactors = redactors
        }

        /// The document without what the matchers find; nil when they find nothing.
        func redacted(_ document: JSONValue) -> JSONValue? {
            redactors.reduce(nil) { found, redactor in redactor.redact(document: found ?? document) ?? found }
        }

        func redacted(text: String) -> String? {
            redactors.reduce(nil) { found, redactor in redactor.redact(text: found ?? text) ?? found }
        }

        /// Whether anything may be found in a payload: cheap, and never wrong when it says no.
        func mayMatch(_ json: RawJSON) -> Bool {
            let payload = ScannedPayload(.original(json))
            return redactors.contains { $0.mayMatch(payload) }
        }

        package static func == (left: Self, right: Self) -> Bool {
            left.matchers == right.matchers && left.replacement == right.replacement
        }

        package func hash(into hasher: inout Hasher) {
            hasher.combine(matchers)
            hasher.combine(replacement)
        }
    }
}
