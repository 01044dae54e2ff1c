package import ATOF
package import LLMCodecs

/// Turns the events of a partition into the spans of one trace endpoint.
///
/// A pure machine: events in, finished spans out (`otel-projections.md` 1 to 4, 6). Where it deviates from the reference, unless the
/// configuration's compatibility is strict (then only the first and the last point hold):
/// - Scopes that never end are exported as abandoned when the configuration says so (`SpanProjector+Abandoning.swift`).
/// - A start that is seen again while its scope is open changes nothing. The reference exports the open span with the
///   wall clock's time as its end, which an at-least-once bus would turn into bogus spans.
/// - An end that comes before its start waits for it, and a child that comes before its parent finds its trace by the run's root; one that
///   comes before that root moves to its trace when it comes.
/// - The exception that ended a span is exported even behind 128 marks, and a count beyond OTLP's integers as the largest of them.
/// - Open spans are bounded, and keys that openinference has at start and end are exported once.
///
/// Everything it puts out is a function of what it was given, in that order: no clock, and nothing that depends on what is held in memory.
/// Payloads that are not held are read again: `references(for:of:)` says which ones a call will ask for.
package struct SpanProjector: Sendable {
    /// Reads the packed event at a reference again; nil when it is gone.
    package typealias Reader = (EventReference) -> [UInt8]?

    package private(set) var configuration: ProjectionConfiguration
    package internal(set) var counters = ProjectionCounters()
    package internal(set) var diagnostics = ProjectionDiagnostics()
    /// Log time, nanoseconds since 1970: of the last message.
    package internal(set) var now: UInt64 = 0

    var openSpans = OpenSpans()
    var runs: OpenRuns
    var earlyEnds = EarlyEnds()
    var completed: TenantContexts
    /// Spans that are to be exported as abandoned, from `nextLeaving` on.
    var leaving: [Leaving] = []
    var nextLeaving = 0

    package init(configuration: ProjectionConfiguration) {
        var configuration = configuration
        if configuration.projection == .genAI { configuration.attributeMappings = [] }
        self.configuration = configuration
        runs = OpenRuns(idle: configuration.idle, maximumAge: configuration.maximumAge)
        completed = TenantContexts(lifetime: configuration.completedLifetime)
    }

    /// Calls that end from now on cost what these say.
    package mutating func replace(pricing: PricingSources) { configuration.pricing = pricing }

    var isStrict: Bool { configuration.compatibility == .strict }

    package var openSpanCount: Int { openSpans.count }

    /// Ends that wait for their starts.
    package var earlyEndCount: Int { earlyEnds.count }

    /// Packed bytes of the events whose attributes are held.
    package var heldBytes: Int { openSpans.heldBytes }

    /// The first event that is still needed. Looks at everything that is open.
    package var oldestReference: EventReference? {
        [openSpans.firstReference, earlyEnds.firstReference].compactMap { $0 }.min()
    }

    // MARK: Events

    /// The finished spans alone, of a log with one tenant that is not read again.
    package mutating func receive(_ event: Event, at reference: EventReference) -> [ProjectedSpan] {
        var output = ProjectionOutput()
        receive(event, at: reference, of: "", into: &output) { _ in nil }
        return output.spans.map(\.span)
    }

    /// Takes an event in.
    ///
    /// - Parameters:
    ///   - reference: where the event can be read again.
    ///   - isExpired: it has waited for too long, so it is counted and in no span; who is whose child is still noted.
    ///   - read: must know what `references(for:of:)` says for this event.
    package mutating func receive(
        _ event: Event, at reference: EventReference, of tenant: String, isExpired: Bool = false,
        into output: inout ProjectionOutput, read: Reader
    ) {
        let key = ScopeKey(tenant: tenant, uuid: event.uuid)
        guard let time = event.timestamp.epochNanoseconds else {
            counters.timestampsOutOfRange += 1
            diagnostics.record("otel.timestamp_out_of_range", "An event before 1970 or after 2554 was dropped")
            let run = ScopeKey(tenant: tenant, uuid: event.rootUUID ?? event.uuid)
            output.receive(run)
            output.settle(1, .notProjected, of: run)
            return
        }
        completed.advance(tenant, to: time)
        switch event.kind {
        case .scopeStart: scopeStarted(event, key, time, at: reference, isExpired, &output, read)
        case .scopeEnd: scopeEnded(event, key, time, at: reference, isExpired, &output, read)
        case .mark: markReceived(event, tenant, time, at: reference, isExpired, &output)
        }
    }

    // MARK: Starts

    private mutating func scopeStarted(
        _ event: Event, _ key: ScopeKey, _ time: UInt64, at reference: EventReference, _ isExpired: Bool,
        _ output: inout ProjectionOutput, _ read: Reader
    ) {
        if let open = openSpans.facts(of: key) {
            counters.duplicateStarts += 1
            guard isStrict else {
                output.receive(open.run)
                output.settle(1, .notProjected, of: open.run)
                return
            }
            replace(key, in: open.run, time, &output, read)
        }
        let ended = completed[key]
        if ended?.isAbandoned == true {
            // It was exported already, and a second span of its id would be another one.
            counters.duplicateStarts += 1
            let run = ScopeKey(tenant: key.tenant, uuid: event.rootUUID ?? event.uuid)
            output.receive(run)
            output.settle(1, .notProjected, of: run)
            return
        }
        completed.remove(key)
        let context = context(of: event, key.tenant, now: time)
        let run = ScopeKey(tenant: key.tenant, uuid: event.rootUUID ?? context.traceID)
        output.receive(run)
        runs.opened(key.uuid, in: run, now: now, eventTime: time)
        var span = OpenSpan(
            key: key, run: run, reference: reference, context: context, isExpired: isExpired, isRepeated: ended != nil)
        span.awaitsRoot = !isStrict && context.parentSpanID == nil && event.parentUUID == run.uuid
        if isExpired {
            output.settle(1, .expired, of: run)
        } else {
            span.payload = payload(ofStart: event, time, context)
            span.heldBytes = event.packed.count
        }
        openSpans.insert(span)
        if !isStrict { adopt(below: key, context.traceID) }
        if let early = earlyEnds.remove(key) { finish(early, &output, read) }
    }

    /// What came before the root that it names as its parent, and has not ended, is below it after all: with everything that is open below
    /// that, it moves to the root's trace. Payloads that know of the trace are made again from their events.
    private mutating func adopt(below root: ScopeKey, _ traceID: EventUUID) {
        let spans = runs.spans(of: root)
        let children = spans.filter {
            $0 != root.uuid && openSpans.facts(of: ScopeKey(tenant: root.tenant, uuid: $0))?.awaitsRoot == true
        }
        if children.isEmpty { return }
        let traces = Set(children.map(\.traceID))
        for uuid in spans {
            let key = ScopeKey(tenant: root.tenant, uuid: uuid)
            guard let old = openSpans.facts(of: key)?.traceID, traces.contains(old) else { continue }
            openSpans.update(key) { span in
                let isChild = children.contains(uuid)
                span.context = SpanContext(
                    traceID: traceID, spanID: uuid.spanID,
                    parentSpanID: isChild ? root.uuid.spanID : span.context.parentSpanID)
                span.awaitsRoot = false
                span.payload = nil
                span.heldBytes = 0
            }
        }
        completed.move(traces, of: root.tenant, to: traceID)
    }

    /// What the reference makes of a second start: the open span ends as it is. It ends at the wall clock's time there, at the log's here.
    private mutating func replace(
        _ key: ScopeKey, in run: ScopeKey, _ time: UInt64, _ output: inout ProjectionOutput, _ read: Reader
    ) {
        guard let open = openSpans.remove(key) else { return }
        runs.closed(key.uuid, in: run, now: now, eventTime: time)
        if open.isExpired { return }
        guard let (payload, missing) = loaded(open, read) else {
            return output.settle(1 + open.marks.count, .notProjected, of: run)
        }
        let span = ProjectedSpan(
            context: open.context, name: payload.name, kind: payload.kind, startTime: payload.startTime,
            endTime: now > 0 ? now : time, attributes: payload.start.attributes + payload.start.replaceable,
            events: payload.events, droppedEvents: open.droppedEvents + missing)
        counters.droppedSpanEvents += UInt64(span.droppedEvents)
        output.settle(Int(missing), .notProjected, of: run)
        output.add(span, of: run, events: 1 + payload.events.count)
    }

    func payload(
        ofStart event: Event, _ time: UInt64, _ context: SpanContext, _ diagnostics: inout ProjectionDiagnostics
    ) -> OpenSpan.Payload {
        let payloads = EventPayloads(event, configuration: configuration, diagnostics: &diagnostics)
        let kind: ProjectedSpan.Kind
        let start: StartAttributes
        var name = event.name
        switch configuration.projection {
        case .full: (kind, start) = FullRules.start(event, payloads, context)
        case .genAI: (name, kind, start) = GenAIRules.start(event, payloads)
        case .openinference: (kind, start) = OpenInferenceRules.start(event, payloads, context)
        }
        return OpenSpan.Payload(
            name: name, kind: kind, startTime: time, start: start, promoted: payloads.promotion.candidates)
    }

    private mutating func payload(
        ofStart event: Event, _ time: UInt64, _ context: SpanContext
    ) -> OpenSpan.Payload {
        // Taken out, because `self` cannot be read while a part of it changes.
        var diagnostics = ProjectionDiagnostics()
        swap(&diagnostics, &self.diagnostics)
        defer { swap(&diagnostics, &self.diagnostics) }
        return payload(ofStart: event, time, context, &diagnostics)
    }

    // MARK: Ends

    private mutating func scopeEnded(
        _ event: Event, _ key: ScopeKey, _ time: UInt64, at reference: EventReference, _ isExpired: Bool,
        _ output: inout ProjectionOutput, _ read: Reader
    ) {
        if let open = openSpans.remove(key) {
            output.receive(open.run)
            runs.closed(key.uuid, in: open.run, now: now, eventTime: time)
            finish(consume open, event, time, isExpired: isExpired, &output, read)
            return
        }
        let run = ScopeKey(tenant: key.tenant, uuid: event.rootUUID ?? event.uuid)
        output.receive(run)
        runs.touched(run, now: now, eventTime: time)
        let ended = completed[key]
        if isStrict || ended != nil || earlyEnds[key] != nil {
            if ended?.isAbandoned == true { counters.lateEnds += 1 } else { counters.unmatchedEnds += 1 }
            output.settle(1, .notProjected, of: run)
            return
        }
        earlyEnds.insert(.init(key: key, run: run, reference: reference, since: now, isExpired: isExpired))
        while earlyEnds.count > configuration.maximumEarlyEnds { dropEarlyEnd(&output) }
    }

    /// No start came: the scope began before the log did, or its start was lost.
    mutating func dropEarlyEnd(_ output: inout ProjectionOutput) {
        guard let early = earlyEnds.removeOldest() else { return }
        counters.unmatchedEnds += 1
        output.settle(1, .notProjected, of: early.run)
    }

    /// The start of an early end has come.
    private mutating func finish(_ early: EarlyEnds.Entry, _ output: inout ProjectionOutput, _ read: Reader) {
        guard let event = SpanProjector.event(read(early.reference)), event.kind == .scopeEnd,
            event.uuid == early.key.uuid, let time = event.timestamp.epochNanoseconds
        else {
            // The span stays open, as it does without any end.
            counters.unreadableReferences += 1
            output.settle(1, .notProjected, of: early.run)
            return
        }
        guard let open = openSpans.remove(early.key) else { return }
        runs.closed(early.key.uuid, in: open.run, now: now, eventTime: time)
        finish(consume open, event, time, isExpired: early.isExpired, endRun: early.run, &output, read)
    }

    /// - Parameter endRun: under which run the end was received, when that is not the span's.
    private mutating func finish(
        _ open: consuming OpenSpan, _ event: Event, _ time: UInt64, isExpired: Bool, endRun: ScopeKey? = nil,
        _ output: inout ProjectionOutput, _ read: Reader
    ) {
        completed.insert(open.key, traceID: open.context.traceID, endTime: time, isAbandoned: false)
        let endRun = endRun ?? open.run
        if open.isExpired {
            output.settle(1, .notProjected, of: endRun)
            return
        }
        if isExpired {
            output.settle(1 + open.marks.count, .expired, of: open.run)
            output.settle(1, .expired, of: endRun)
            return
        }
        var inheritedErrors = ErrorInheritance(open)
        guard case (var payload, let missing)? = loaded(open, read) else {
            output.settle(1 + open.marks.count, .notProjected, of: open.run)
            output.settle(1, .notProjected, of: endRun)
            return
        }
        // The attributes have one owner from here on: nothing copies them when those of the end are added.
        open.payload = nil
        let marks = payload.events.count
        let span = finishedSpan(open, &payload, missing, event, time, &inheritedErrors)
        let tenant = open.key.tenant
        if let outcome = inheritedErrors.outcome, let parent = event.parentUUID {
            pass(outcome, to: ScopeKey(tenant: tenant, uuid: parent))
        }
        let isOwn = endRun == open.run
        output.settle(Int(missing), .notProjected, of: open.run)
        if !isOwn { output.settle(1, .notProjected, of: endRun) }
        output.add(span, of: open.run, events: (isOwn ? 2 : 1) + marks)
    }

    /// What a span inherits from its children, and what it passes on.
    private struct ErrorInheritance {
        let type: String?
        let exceptionType: String?
        var outcome: ErrorClassification?

        init(_ open: borrowing OpenSpan) {
            type = open.inheritedErrorType
            exceptionType = open.inheritedExceptionType
        }
    }

    /// - Parameter payload: its attributes and events are taken out.
    private mutating func finishedSpan(
        _ open: borrowing OpenSpan, _ payload: inout OpenSpan.Payload, _ missing: UInt32, _ event: Event,
        _ time: UInt64,
        _ errors: inout ErrorInheritance
    ) -> ProjectedSpan {
        let payloads = EventPayloads(event, configuration: configuration, diagnostics: &diagnostics)
        let isCall = event.category?.known == .llm && !isStrict
        let outcome = ErrorClassification(
            metadata: payloads.metadata,
            provider: isCall ? payloads.providerError : nil,
            inheritedErrorType: errors.type, inheritedExceptionType: errors.exceptionType, isStrict: isStrict)
        errors.outcome = outcome
        if outcome.code == .unknown { counters.unknownStatusCodes += 1 }

        var span = ProjectedSpan(
            context: open.context, name: payload.name, kind: payload.kind, startTime: payload.startTime, endTime: time,
            attributes: payload.start.attributes.takeAll(), events: payload.events,
            droppedEvents: open.droppedEvents + missing, status: outcome.status)
        payload.events = []
        switch configuration.projection {
        case .full: FullRules.end(event, payloads, payload.start, outcome, configuration.pricing, &span.attributes)
        case .genAI: GenAIRules.end(event, payloads, outcome, &span.attributes)
        case .openinference:
            OpenInferenceRules.end(event, payloads, payload.start, configuration.pricing, &span.attributes)
        }
        addAliases(to: &span.attributes, beside: [lifted(payload), (endMetadata, payloads.promotion.candidates)])
        addPromoted(payload.promoted, payloads, to: &span.attributes)
        if let type = outcome.exceptionType {
            if !isStrict || span.events.count < OpenSpan.maximumEvents {
                span.events.append(
                    .init(name: "exception", time: time, attributes: [Attribute("exception.type", type)]))
            } else {
                span.droppedEvents += 1
            }
        }
        counters.droppedSpanEvents += UInt64(span.droppedEvents)
        return span
    }

    /// The first child that failed classifies its parent, each for error and exception type.
    private mutating func pass(_ outcome: ErrorClassification, to parent: ScopeKey) {
        guard outcome.code == .error else { return }
        openSpans.update(parent) { span in
            if span.inheritedErrorType == nil { span.inheritedErrorType = outcome.errorType }
            if span.inheritedExceptionType == nil { span.inheritedExceptionType = outcome.exceptionType }
        }
    }

    // MARK: Identity

    /// Where an event's span stands (`otel-projections.md` 1.2).
    private func context(of event: Event, _ tenant: String, now: UInt64) -> SpanContext {
        let uuid = event.uuid
        let resolution = ParentResolution(
            of: event, tenant, now: now, completed: completed, joinsRoot: !isStrict
        ) { openSpans.context(of: $0)?.traceID }
        switch resolution {
        case .found(let traceID):
            return SpanContext(traceID: traceID, spanID: uuid.spanID, parentSpanID: event.parentUUID?.spanID)
        case .remote(let traceID):
            return SpanContext(
                traceID: traceID.traceID, spanID: uuid.spanID, parentSpanID: event.parentUUID?.spanID, isRemote: true)
        case .expired, .none: return SpanContext(traceID: uuid.traceID, spanID: uuid.spanID, parentSpanID: nil)
        }
    }

    // MARK: Marks

    private mutating func markReceived(
        _ event: Event, _ tenant: String, _ time: UInt64, at reference: EventReference, _ isExpired: Bool,
        _ output: inout ProjectionOutput
    ) {
        let parent = event.parentUUID.map { ScopeKey(tenant: tenant, uuid: $0) }
        let open = parent.flatMap { openSpans.facts(of: $0) }
        let context = context(of: event, tenant, now: time)
        let run = open?.run ?? ScopeKey(tenant: tenant, uuid: event.rootUUID ?? context.traceID)
        output.receive(run)
        runs.touched(run, now: now, eventTime: time)
        // Metric marks never reach traces, valid or not (5.2), and `gen_ai` has no marks at all.
        if configuration.projection == .genAI || event.dataSchema?.name == MarkRules.metricSchema {
            return output.settle(1, .notProjected, of: run)
        }
        if isExpired { return output.settle(1, .expired, of: run) }
        let payloads = EventPayloads(event, configuration: configuration, diagnostics: &diagnostics)
        let isTool = configuration.markProjection == .tool && !isExcluded(event, payloads)
        let attributes = markAttributes(event, payloads, isTool: isTool, hasOpenParent: open != nil, context.traceID)
        guard !isTool, let open, let parent else {
            output.add(
                ProjectedSpan(
                    context: context, name: "mark:\(event.name)", kind: .internal, startTime: time, endTime: time,
                    attributes: attributes), of: run, events: 1)
            return
        }
        if open.isExpired { return output.settle(1, .notProjected, of: run) }
        guard open.marks < OpenSpan.maximumEvents else {
            openSpans.update(parent) { $0.droppedEvents += 1 }
            return output.settle(1, .notProjected, of: run)
        }
        let spanEvent = ProjectedSpan.Event(name: event.name, time: time, attributes: attributes)
        let bytes = event.packed.count
        openSpans.update(parent) { span in
            span.marks.append(reference)
            if span.payload != nil {
                span.payload?.events.append(spanEvent)
                span.heldBytes += bytes
            }
        }
    }

    func markAttributes(
        _ event: Event, _ payloads: EventPayloads, isTool: Bool, hasOpenParent: Bool, _ traceID: EventUUID
    ) -> [Attribute] {
        var payloads = payloads
        var attributes = shapedMark(event, payloads, isTool: isTool, hasOpenParent: hasOpenParent, traceID)
        if !payloads.promotion.candidates.isEmpty {
            // Aliases that came about have their names.
            let taken = Set(configuration.attributeMappings.map(\.alias)).filter(attributes.contains(key:))
            if payloads.promotion.candidates.contains(where: { taken.contains($0.key) }) {
                payloads.promotion = payloads.promotion.leaving(taken, in: payloads.metadata)
                attributes = shapedMark(event, payloads, isTool: isTool, hasOpenParent: hasOpenParent, traceID)
            }
        }
        attributes.appendNew(payloads.promotion.candidates)
        return attributes
    }

    private func shapedMark(
        _ event: Event, _ payloads: EventPayloads, isTool: Bool, hasOpenParent: Bool, _ traceID: EventUUID
    ) -> [Attribute] {
        var attributes = MarkRules.attributes(event, payloads, traceID: traceID)
        if isTool {
            MarkRules.toolShape(event, payloads, configuration.projection, isOrphan: !hasOpenParent, &attributes)
        } else if !hasOpenParent {
            MarkRules.orphanShape(configuration.projection, &attributes)
        }
        addAliases(to: &attributes, beside: [("nemo_relay.mark.metadata", payloads.promotion.candidates)])
        return attributes
    }

    private func isExcluded(_ event: Event, _ payloads: EventPayloads) -> Bool {
        if configuration.markExcludeNames.contains(event.name) { return true }
        guard let hook = payloads.metadata?["hook_event_name"]?.stringValue else { return false }
        return configuration.markExcludeNames.contains(hook)
    }
}
