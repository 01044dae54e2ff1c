package import ATOF

/// What a line that a producer sent is.
package enum IngestLine: Sendable {
    case event(EventFields, hasRestoredKeys: Bool)
    /// NeMo Relay's doctor asks whether somebody is there.
    case probe
    /// Only white space.
    case blank
    case invalid(EventError)

    /// The mark that `nemo-relay doctor` sends to each of its sinks.
    package static let probeName = "nemo_relay.doctor.atof_probe"

    package init(_ line: [UInt8]) {
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }) {
            self = .blank
            return
        }
        do throws(EventError) {
            var fields = try EventJSONDecoder.decode(line)
            if fields.kind == .mark, fields.name == IngestLine.probeName {
                self = .probe
                return
            }
            let restored = DottedKeys.restore(&fields)
            self = .event(fields, hasRestoredKeys: restored)
        } catch {
            self = .invalid(error)
        }
    }
}
