package import ATOF

/// Turns the events of a partition into the spans of one trace endpoint.
///
/// A pure machine: events in, finished spans out (`otel-projections.md` 1 to 4, 6). Scopes that never end are never
/// exported, as in the reference. Where it deviates:
/// - A start that is seen again while its scope is open changes nothing. The reference exports the open span with the
///   wall clock's time as its end, which an at-least-once bus would turn into bogus spans.
/// - Open spans are bounded, and keys that openinference has at start and end are exported once.
package struct SpanProjector: Sendable {
    package let configuration: ProjectionConfiguration
    package internal(set) var counters = ProjectionCounters()
    package internal(set) var diagnostics = ProjectionDiagnostics()

    var openSpans = OpenSpans()
    var completed = CompletedContexts()

    package init(configuration: ProjectionConfiguration) {
        self.configuration = configuration
    }

    package var openSpanCount: Int { openSpans.count }

    /// The first event that is still needed: of the span that is open for the longest time.
    package var oldestReference: EventReference? { openSpans.oldest?.reference }

    /// - Parameter reference: where the event can be read again after a restore; ascending from call to call.
    /// - Returns: the spans that the event finished.
    package mutating func receive(_ event: Event, at reference: EventReference) -> [ProjectedSpan] {
        guard let time = event.timestamp.epochNanoseconds else {
            counters.timestampsOutOfRange += 1
            diagnostics.record("otel.timestamp_out_of_range", "An event before 1970 or after 2554 was dropped")
            return []
        }
        completed.advance(to: time)
        switch event.kind {
        case .scopeStart:
            scopeStarted(event, time, at: reference)
            return []
        case .scopeEnd: return scopeEnded(event, time).map { [$0] } ?? []
        case .mark: return markReceived(event, time, at: reference).map { [$0] } ?? []
        }
    }

    // MARK: Scopes

    private mutating func scopeStarted(_ event: Event, _ time: UInt64, at reference: EventReference) {
        if openSpans.context(of: event.uuid) != nil {
            counters.duplicateStarts += 1
            return
        }
        completed.remove(event.uuid)
        // Before anything makes room: the oldest span may be the parent.
        let context = context(of: event, now: time)
        if openSpans.count >= configuration.maximumOpenSpans, let oldest = openSpans.oldest {
            _ = openSpans.remove(oldest.uuid)
            counters.evictedOpenSpans += 1
        }
        open(event, time, context: context, at: reference)
    }

    mutating func open(_ event: Event, _ time: UInt64, context: SpanContext, at reference: EventReference) {
        let payloads = EventPayloads(event, configuration: configuration, diagnostics: &diagnostics)
        let kind: ProjectedSpan.Kind
        let start: StartAttributes
        switch configuration.projection {
        case .full: (kind, start) = FullRules.start(event, payloads, context)
        case .openinference: (kind, start) = OpenInferenceRules.start(event, payloads, context)
        }
        openSpans.insert(
            OpenSpan(
                uuid: event.uuid, reference: reference, context: context, name: event.name, kind: kind, startTime: time,
                start: start, promoted: payloads.promotion.candidates))
    }

    private mutating func scopeEnded(_ event: Event, _ time: UInt64) -> ProjectedSpan? {
        guard let open = openSpans.remove(event.uuid) else {
            counters.unmatchedEnds += 1
            return nil
        }
        let payloads = EventPayloads(event, configuration: configuration, diagnostics: &diagnostics)
        let outcome = ErrorClassification(
            metadata: payloads.metadata, inheritedErrorType: open.inheritedErrorType,
            inheritedExceptionType: open.inheritedExceptionType)
        if outcome.code == .unknown { counters.unknownStatusCodes += 1 }

        var span = ProjectedSpan(
            context: open.context, name: open.name, kind: open.kind, startTime: open.startTime, endTime: time,
            attributes: open.start.attributes, events: open.events, droppedEvents: open.droppedEvents,
            status: outcome.status)
        switch configuration.projection {
        case .full: FullRules.end(event, payloads, open.start, outcome, &span.attributes)
        case .openinference: OpenInferenceRules.end(event, payloads, open.start, &span.attributes)
        }
        addAliases(to: &span.attributes)
        addPromoted(open.promoted, payloads, to: &span.attributes)
        if let type = outcome.exceptionType {
            if span.events.count < OpenSpan.maximumEvents {
                span.events.append(
                    .init(name: "exception", time: time, attributes: [Attribute("exception.type", type)]))
            } else {
                span.droppedEvents += 1
            }
        }
        counters.droppedSpanEvents += UInt64(span.droppedEvents)
        pass(outcome, to: event.parentUUID)
        completed.insert(event.uuid, traceID: open.context.traceID, endTime: time)
        return span
    }

    /// The first child that failed classifies its parent, each for error and exception type.
    private mutating func pass(_ outcome: ErrorClassification, to parent: EventUUID?) {
        guard outcome.code == .error else { return }
        openSpans.update(parent) { span in
            if span.inheritedErrorType == nil { span.inheritedErrorType = outcome.errorType }
            if span.inheritedExceptionType == nil { span.inheritedExceptionType = outcome.exceptionType }
        }
    }

    // MARK: Identity

    /// Where an event's span stands (`otel-projections.md` 1.2): only its direct parent counts.
    private func context(of event: Event, now: UInt64) -> SpanContext {
        let uuid = event.uuid
        let root = SpanContext(traceID: uuid, spanID: uuid.low, parentSpanID: nil)
        guard let parent = event.parentUUID else { return root }
        if let open = openSpans.context(of: parent) {
            return SpanContext(traceID: open.traceID, spanID: uuid.low, parentSpanID: parent.low)
        }
        switch completed.lookUp(parent, now: now) {
        case .found(let traceID): return SpanContext(traceID: traceID, spanID: uuid.low, parentSpanID: parent.low)
        case .expired: return root
        case .unknown:
            // A parent in another process: the producer names a root that is neither the event nor its parent. A root
            // that is the parent is the implicit one of the producer's scope stack, which has no span.
            guard let remoteRoot = event.propagationRootUUID, remoteRoot != uuid, remoteRoot != parent else {
                return root
            }
            return SpanContext(traceID: remoteRoot, spanID: uuid.low, parentSpanID: parent.low, isRemote: true)
        }
    }

    // MARK: Marks

    mutating func markReceived(_ event: Event, _ time: UInt64, at reference: EventReference) -> ProjectedSpan? {
        // Metric marks never reach traces, valid or not (5.2).
        if event.dataSchema?.name == MarkRules.metricSchema { return nil }
        let payloads = EventPayloads(event, configuration: configuration, diagnostics: &diagnostics)
        let context = context(of: event, now: time)
        let isTool = configuration.markProjection == .tool && !isExcluded(event, payloads)
        let hasOpenParent = openSpans.context(of: event.parentUUID) != nil
        var attributes = MarkRules.attributes(event, payloads, traceID: context.traceID)
        if isTool {
            MarkRules.toolShape(event, payloads, configuration.projection, isOrphan: !hasOpenParent, &attributes)
        } else if !hasOpenParent {
            MarkRules.orphanShape(configuration.projection, &attributes)
        }
        addAliases(to: &attributes)
        attributes.append(payloads.promotion.candidates, except: [])
        guard isTool || !hasOpenParent else {
            let spanEvent = ProjectedSpan.Event(name: event.name, time: time, attributes: attributes)
            openSpans.update(event.parentUUID) { $0.add(spanEvent, at: reference) }
            return nil
        }
        return ProjectedSpan(
            context: context, name: "mark:\(event.name)", kind: .internal, startTime: time, endTime: time,
            attributes: attributes)
    }

    private func isExcluded(_ event: Event, _ payloads: EventPayloads) -> Bool {
        if configuration.markExcludeNames.contains(event.name) { return true }
        guard let hook = payloads.metadata?["hook_event_name"]?.stringValue else { return false }
        return configuration.markExcludeNames.contains(hook)
    }

    // MARK: Aliases and promotion

    /// Aliases see the attributes of the projection, never each other (`otel-projections.md` 2.7).
    private func addAliases(to attributes: inout [Attribute]) {
        guard !configuration.attributeMappings.isEmpty else { return }
        let projected = attributes
        for mapping in configuration.attributeMappings where !attributes.contains(key: mapping.alias) {
            guard let source = projected.last(where: { $0.key == mapping.key }) else { continue }
            attributes.append(Attribute(mapping.alias, source.value))
        }
    }

    /// What the end says about a key counts, even when it cannot be exported (`otel-projections.md` 2.6).
    private func addPromoted(_ held: [Attribute], _ payloads: EventPayloads, to attributes: inout [Attribute]) {
        if held.isEmpty && payloads.promotion.candidates.isEmpty { return }
        let aliases = Set(configuration.attributeMappings.map(\.alias))
        let start = held.filter { payloads.metadata?[$0.key] == nil }
        attributes.append(start + payloads.promotion.candidates, except: aliases)
    }
}
