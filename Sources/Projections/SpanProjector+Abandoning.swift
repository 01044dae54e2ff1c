package import ATOF

// Scopes that never end. A run is given up as a whole: when nothing comes of it any more, when it has had open spans for too long, or when
// too many spans are open. Time is that of the log. Its spans then leave in slices, so that what has to be read again is bounded.
extension SpanProjector {
    struct Leaving: Sendable {
        let key: ScopeKey
        let reason: AbandonReason
        let endTime: UInt64
    }

    /// Whether `leave` has something to do.
    package var hasLeaving: Bool { nextLeaving < leaving.count }

    /// When time alone would change something, nanoseconds since 1970.
    package mutating func nextDeadline() -> UInt64? {
        let early = earlyEnds.oldest.map { $0 &+ configuration.earlyEndLinger }
        return [runs.deadline, early].compactMap { $0 }.min()
    }

    /// A message came: time has passed. Runs that are due leave next; ends that waited for too long are dropped.
    package mutating func advance(to time: UInt64, into output: inout ProjectionOutput) {
        now = max(now, time)
        while let since = earlyEnds.oldest, since &+ configuration.earlyEndLinger <= now { dropEarlyEnd(&output) }
        for due in runs.takeDue(at: now) { schedule(due) }
    }

    /// After a message: when too many spans are open, the oldest runs leave next. A run that has more than half of them goes first, so
    /// that it does not push out the others.
    ///
    /// - Parameter run: of which events came last.
    package mutating func enforceBounds(after run: ScopeKey?) {
        while openSpans.count - (leaving.count - nextLeaving) > configuration.maximumOpenSpans {
            if let run, runs.spanCount(of: run) > configuration.maximumOpenSpans / 2, let due = runs.take(run) {
                schedule(due)
            } else if let due = runs.takeOldest() {
                schedule(due)
            } else {
                return
            }
        }
    }

    /// Between messages: drops payloads of the oldest spans while too many bytes are held.
    package mutating func unload() {
        counters.unloaded += UInt64(openSpans.unload(downTo: configuration.maximumHeldBytes))
    }

    private mutating func schedule(_ due: OpenRuns.Due) {
        let spans = due.run.spans.map { ScopeKey(tenant: due.key.tenant, uuid: $0) }.compactMap { key in
            openSpans.facts(of: key).map { (key: key, reference: $0.reference) }
        }.sorted { $0.reference < $1.reference }
        for span in spans {
            leaving.append(Leaving(key: span.key, reason: due.reason, endTime: due.run.lastEventTime))
        }
    }

    /// The events that `leave` will ask for.
    package func leavingReferences(_ count: Int) -> [EventReference] {
        leaving[nextLeaving..<min(nextLeaving + count, leaving.count)].flatMap { openSpans.unheld($0.key) }
    }

    /// Exports the next spans that are given up, at most so many.
    package mutating func leave(_ count: Int, into output: inout ProjectionOutput, read: Reader) {
        for _ in 0..<min(count, leaving.count - nextLeaving) {
            let next = leaving[nextLeaving]
            nextLeaving += 1
            if let open = openSpans.remove(next.key) { abandon(open, next, &output, read) }
        }
        if !hasLeaving {
            leaving = []
            nextLeaving = 0
        }
    }

    private mutating func abandon(_ open: OpenSpan, _ why: Leaving, _ output: inout ProjectionOutput, _ read: Reader) {
        completed.insert(open.key, traceID: open.context.traceID, endTime: why.endTime, isAbandoned: !open.isRepeated)
        if open.isExpired { return }
        // Its end was exported before; another end would make the span bogus.
        guard !open.isRepeated, let (payload, missing) = loaded(open, read) else {
            return output.settle(1 + open.marks.count, .notProjected, of: open.run)
        }
        counters.abandoned[why.reason, default: 0] += 1
        var span = ProjectedSpan(
            context: open.context, name: payload.name, kind: payload.kind, startTime: payload.startTime,
            endTime: max(payload.startTime, why.endTime), attributes: payload.start.attributes, events: payload.events,
            droppedEvents: open.droppedEvents + missing, status: .error(message: "scope did not end"))
        span.attributes += payload.start.replaceable
        switch configuration.projection {
        case .genAI: span.attributes.append(GenAIConventions.errorType, "_OTHER")
        case .full: span.attributes.append("nemo_relay.model_name", text: payload.start.modelName)
        case .openinference: span.attributes.append("llm.model_name", text: payload.start.modelName)
        }
        span.attributes.append(Attribute("skein.abandoned", .bool(true)))
        span.attributes.append(Attribute("skein.abandoned.reason", why.reason.rawValue))
        addAliases(to: &span.attributes, beside: [lifted(payload)])
        addPromoted(payload.promoted, nil, to: &span.attributes)
        counters.droppedSpanEvents += UInt64(span.droppedEvents)
        output.settle(Int(missing), .notProjected, of: open.run)
        output.add(span, of: open.run, events: 1 + payload.events.count)
    }
}
