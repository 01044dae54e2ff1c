internal import ATOF
internal import LLMCodecs

/// How long the first chunk of a streamed model call took, as a histogram beside those of marks (`otel-projections.md` 10). Its end says it
/// all.
enum FirstChunk {
    static let metricName = "gen_ai.client.operation.time_to_first_chunk"
    static let descriptor = MetricDescriptor(kind: .histogram, valueType: .double, unit: "s")

    /// Of the end's category profile, in seconds.
    private static let member = "time_to_first_chunk"
    private static let memberName = Array(member.utf8)

    /// The measurement of a call that was streamed. The reference has none of a call whose provider neither the end nor its name says.
    static func measurement(ofEnd event: Event, _ compatibility: Compatibility) -> MetricMeasurement? {
        guard event.category?.known == .llm, let text = event.categoryProfile, isNamed(in: text) else { return nil }
        // Nothing is promoted to an attribute of a measurement.
        var reading = ProjectionConfiguration(projection: .genAI)
        reading.compatibility = compatibility
        var diagnostics = ProjectionDiagnostics()
        let payloads = EventPayloads(event, configuration: reading, diagnostics: &diagnostics)
        guard let seconds = payloads.profile(member)?.numberValue, seconds.isFinite, seconds >= 0,
            let attributes = GenAIRules.measured(end: event, payloads)
        else { return nil }
        return MetricMeasurement(
            name: metricName, descriptor: descriptor, description: nil, boundaries: nil, attributes: attributes,
            value: .double(seconds))
    }

    /// Whether the member's name occurs in the JSON: most ends are not of streams, and their profiles need no parsing.
    private static func isNamed(in json: RawJSON) -> Bool {
        json.withBytes { bytes in
            guard bytes.count >= memberName.count else { return false }
            return (0...bytes.count - memberName.count).contains { start in
                bytes[start] == memberName[0] && bytes[start..<start + memberName.count].elementsEqual(memberName)
            }
        }
    }
}
