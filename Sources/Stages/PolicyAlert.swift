package import ATOF

/// A rule that fired and wants somebody to know: a document on `skein.v1.alerts.<tenant>.<rule>`, without any payload.
package struct PolicyAlert: Sendable, Hashable {
    package let rule: String
    package let tenant: String
    /// The UUID of the run's root, as PROCESSED has it; nil before the act, and for a sum over several runs.
    package var root: EventUUID?
    /// Nil where it is not known: in `process`, and for a sum over several.
    package var trajectory: EventUUID?
    package var agent: String?
    package var event: EventUUID?
    /// Of the log, nanoseconds since 1970.
    package let time: UInt64
    package let message: String
    package var counts: [String: UInt64] = [:]
    /// What the alert is about, beside rule and tenant: the same for the same occasion, so that the broker drops a second copy inside its
    /// dedupe window.
    package let occasion: String

    package init(rule: String, tenant: String, time: UInt64, message: String, occasion: String) {
        self.rule = rule
        self.tenant = tenant
        self.time = time
        self.message = message
        self.occasion = occasion
    }

    package var subject: String { SkeinSubjects.alert(tenant: tenant, rule: rule) }

    /// A header's value: the occasion may hold a name with any character.
    package var id: String { "alert/\(tenant)/\(rule)/\(Fingerprint(occasion).uuid)" }

    /// Members that are not known are null.
    package var json: JSONValue {
        func text(_ uuid: EventUUID?) -> JSONValue { uuid.map { .string($0.description) } ?? .null }
        return [
            "rule": .string(rule), "tenant": .string(tenant), "root": text(root), "trajectory": text(trajectory),
            "agent": agent.map { .string($0) } ?? .null, "event": text(event),
            "time": .string(EventTime(epochNanoseconds: time).rfc3339), "message": .string(message),
            "counts": .object(JSONObject(counts.map { ($0.key, JSONValue.count($0.value)) })),
        ]
    }
}

extension JSONValue {
    static func count(_ number: UInt64) -> JSONValue { Int64(exactly: number).map { .int($0) } ?? .unsigned(number) }
}
