internal import ATOF
internal import LLMCodecs

/// The calls of models that have started and not ended, for the histogram of the time to their first chunk (`otel-projections.md` 10).
struct OpenCalls: Sendable {
    private struct Call: Sendable {
        /// Attributes of its measurement.
        let attributes: [Attribute]
        let ordinal: UInt64
    }

    static let metricName = "gen_ai.client.operation.time_to_first_chunk"
    static let descriptor = MetricDescriptor(kind: .histogram, valueType: .double, unit: "s")

    /// Nothing is promoted to an attribute of a measurement.
    private let reading: ProjectionConfiguration
    /// Of the end's category profile, in seconds.
    private let member = "time_to_first_chunk"
    private let maximum: Int
    private var calls: [ScopeKey: Call] = [:]
    /// By age; the slots of calls that have ended are skipped, and cleared away in bulk.
    private var order: [(key: ScopeKey, ordinal: UInt64)] = []
    private var head = 0
    private var nextOrdinal: UInt64 = 0

    init(maximum: Int, _ compatibility: Compatibility) {
        self.maximum = maximum
        var reading = ProjectionConfiguration(projection: .genAI)
        reading.compatibility = compatibility
        self.reading = reading
    }

    mutating func started(_ event: Event, _ tenant: String) {
        guard event.category?.known == .llm else { return }
        var diagnostics = ProjectionDiagnostics()
        let payloads = EventPayloads(event, configuration: reading, diagnostics: &diagnostics)
        insert(ScopeKey(tenant: tenant, uuid: event.uuid), GenAIRules.measured(event, payloads))
        while calls.count > maximum, head < order.count {
            if isCurrent(order[head]) { calls[order[head].key] = nil }
            head += 1
        }
    }

    /// The measurement of a call that was streamed; its end says how long the first chunk took, in seconds.
    mutating func ended(_ event: Event, _ tenant: String) -> MetricMeasurement? {
        guard let call = calls.removeValue(forKey: ScopeKey(tenant: tenant, uuid: event.uuid)),
            event.category?.known == .llm, let text = event.categoryProfile, OpenCalls.names(member, in: text),
            case let profile = text.value, let seconds = profile[member]?.numberValue, seconds.isFinite, seconds >= 0
        else { return nil }
        var attributes = call.attributes
        let response = LLMNormalizer.response(
            profile: profile, data: event.data?.value.nonNull, reading.compatibility)
        if let model = response?.model { attributes.append(Attribute(GenAIConventions.responseModel.key, model)) }
        return MetricMeasurement(
            name: OpenCalls.metricName, descriptor: OpenCalls.descriptor, description: nil, boundaries: nil,
            attributes: attributes, value: .double(seconds))
    }

    /// Whether the text occurs in the JSON: most ends are not of streams, and their profiles need no parsing.
    private static func names(_ text: String, in json: RawJSON) -> Bool {
        let wanted = Array(text.utf8)
        return json.withBytes { bytes in
            guard bytes.count >= wanted.count else { return false }
            return (0...bytes.count - wanted.count).contains { start in
                bytes[start] == wanted[0] && bytes[start..<start + wanted.count].elementsEqual(wanted)
            }
        }
    }

    private mutating func insert(_ key: ScopeKey, _ attributes: [Attribute]) {
        calls[key] = Call(attributes: attributes, ordinal: nextOrdinal)
        order.append((key, nextOrdinal))
        nextOrdinal += 1
        if order.count > 2 * calls.count + 1024 {
            order = order[head...].filter(isCurrent)
            head = 0
        }
    }

    private func isCurrent(_ slot: (key: ScopeKey, ordinal: UInt64)) -> Bool {
        calls[slot.key]?.ordinal == slot.ordinal
    }

    // MARK: Snapshot

    func write(to writer: inout SnapshotWriter) {
        writer.write(calls.count)
        for slot in order[head...] where isCurrent(slot) {
            writer.write(slot.key.tenant)
            writer.write(slot.key.uuid)
            writer.write(calls[slot.key]?.attributes ?? [])
        }
    }

    mutating func restore(from reader: inout SnapshotReader) throws(SnapshotError) {
        for _ in 0..<(try reader.readCount()) {
            let key = ScopeKey(tenant: try reader.readText(), uuid: try reader.readUUID())
            insert(key, try reader.readAttributes())
        }
    }
}
