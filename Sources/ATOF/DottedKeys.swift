/// Gives keys back the dots that NeMo Relay's `field_name_policy = "replace_dots"` has taken (`atif-trajectories.md` 7).
///
/// Only keys of the reference that something behind PROCESSED reads, at the top of `metadata`, and only where no key has a dot: whoever
/// sends one dot has replaced none.
package enum DottedKeys {
    /// What of `metadata` is understood either way.
    package static let known = [
        "otel_status_code": "otel.status_code",
        "otel_status_description": "otel.status_description",
        "error_type": "error.type",
        "exception_type": "exception.type",
        "nemo_relay_log_severity": "nemo_relay.log.severity",
    ]
    /// These are words that anybody may use: they count beside a status only.
    private static let besideStatus: Set<String> = ["error_type", "exception_type"]

    /// - Returns: whether a key was given back its dots.
    package static func restore(_ fields: inout EventFields) -> Bool {
        guard mayHold(fields.metadata) else { return false }
        let members: [(key: String, value: ArraySlice<UInt8>)]
        do throws(EventError) {
            members = try JSONMemberScanner.members(of: fields.metadata)
        } catch {
            // No object: it has no keys.
            return false
        }
        let keys = Set(members.map(\.key))
        guard !keys.contains(where: { $0.contains(".") }) else { return false }
        let hasStatus = keys.contains("otel_status_code")
        var isChanged = false
        var text: [UInt8] = [UInt8(ascii: "{")]
        text.reserveCapacity(fields.metadata.count)
        for member in members {
            var key = member.key
            if let dotted = known[key], hasStatus || !besideStatus.contains(key) {
                key = dotted
                isChanged = true
            }
            if text.count > 1 { text.append(UInt8(ascii: ",")) }
            var writer = JSONWriter(capacity: key.utf8.count + 2)
            writer.write(key)
            text += writer.bytes
            text.append(UInt8(ascii: ":"))
            text += member.value
        }
        guard isChanged else { return false }
        text.append(UInt8(ascii: "}"))
        fields.metadata = text
        return true
    }

    private static func mayHold(_ metadata: [UInt8]) -> Bool {
        metadata.contains(sequence: "otel_status_") || metadata.contains(sequence: "nemo_relay_log_severity")
    }
}

extension [UInt8] {
    fileprivate func contains(sequence word: StaticString) -> Bool {
        withUnsafeBufferPointer { bytes in word.withUTF8Buffer { bytes.contains(sequence: $0) } }
    }
}
