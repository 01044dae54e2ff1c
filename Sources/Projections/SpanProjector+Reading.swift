package import ATOF

// Payloads that are not held: after a restore, or because too many bytes were. They are made again from the events in the log, with the
// contexts that were decided when the events came, so the span has the same bytes.
extension SpanProjector {
    /// The events that `receive` will ask for when it gets this one.
    package func references(for event: Event, of tenant: String) -> [EventReference] {
        switch event.kind {
        case .mark: []
        case .scopeEnd: openSpans.unheld(ScopeKey(tenant: tenant, uuid: event.uuid))
        case .scopeStart where isStrict: openSpans.unheld(ScopeKey(tenant: tenant, uuid: event.uuid))
        case .scopeStart: (earlyEnds[ScopeKey(tenant: tenant, uuid: event.uuid)]?.reference).map { [$0] } ?? []
        }
    }

    /// The payload of a span, and how many of its marks could not be read again; nil when its start could not.
    mutating func loaded(_ open: OpenSpan, _ read: Reader) -> (OpenSpan.Payload, missing: UInt32)? {
        if let payload = open.payload { return (payload, 0) }
        guard let start = SpanProjector.event(read(open.reference)), start.kind == .scopeStart,
            start.uuid == open.key.uuid, let time = start.timestamp.epochNanoseconds
        else {
            counters.unreadableReferences += 1 + UInt64(open.marks.count)
            return nil
        }
        // What there is to say was said when the event came.
        var diagnostics = ProjectionDiagnostics()
        var payload = payload(ofStart: start, time, open.context, &diagnostics)
        var missing: UInt32 = 0
        for reference in open.marks {
            guard let mark = SpanProjector.event(read(reference)), mark.kind == .mark,
                mark.parentUUID == open.key.uuid, let time = mark.timestamp.epochNanoseconds
            else {
                missing += 1
                continue
            }
            let payloads = EventPayloads(mark, configuration: configuration, diagnostics: &diagnostics)
            let attributes = markAttributes(
                mark, payloads, isTool: false, hasOpenParent: true, open.context.traceID)
            payload.events.append(.init(name: mark.name, time: time, attributes: attributes))
        }
        counters.unreadableReferences += UInt64(missing)
        return (payload, missing)
    }

    static func event(_ packed: [UInt8]?) -> Event? {
        guard let packed else { return nil }
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try? EventBatch(unpacking: writer.bytes).event(at: 0)
    }
}
