internal import ATOF

// OTLP forbids ids of zeros, and backends throw spans away that have them. No producer's generator makes such UUIDs, but a test, or a
// program that counts, does.
extension EventUUID {
    /// The id of a scope's span: the second half of its UUID (`otel-projections.md` 1.1), where that is zero the first one.
    var spanID: UInt64 { low != 0 ? low : max(high, 1) }

    /// The id of the trace that begins with a scope: its UUID, or one where that is zero.
    var traceID: EventUUID { high == 0 && low == 0 ? EventUUID(high: 0, low: 1) : self }
}
