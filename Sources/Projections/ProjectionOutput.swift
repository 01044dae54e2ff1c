/// What a projector made of events: the spans, and what became of the events that are in none.
///
/// Every event is received once. Later it is part of a span, or settled here, never both.
package struct ProjectionOutput: Sendable {
    /// A span, and what it stands for.
    package struct Span: Sendable {
        package let span: ProjectedSpan
        package let run: ScopeKey
        /// How many events are in it: start, end and marks.
        package let events: Int
    }

    /// Events of a run that came in.
    package struct Received: Sendable, Hashable {
        package let run: ScopeKey
        package fileprivate(set) var events: Int
    }

    package enum Fate: Sendable, Hashable {
        /// No span shows them.
        case notProjected
        /// They had waited for too long.
        case expired
    }

    /// Events of a run that are in no span.
    package struct Settled: Sendable, Hashable {
        package let run: ScopeKey
        package let fate: Fate
        package fileprivate(set) var events: Int
    }

    package private(set) var spans: [Span] = []
    package private(set) var received: [Received] = []
    package private(set) var settled: [Settled] = []

    package init() {}

    mutating func receive(_ run: ScopeKey) {
        if let last = received.indices.last, received[last].run == run {
            received[last].events += 1
        } else {
            received.append(Received(run: run, events: 1))
        }
    }

    mutating func add(_ span: ProjectedSpan, of run: ScopeKey, events: Int) {
        spans.append(Span(span: span, run: run, events: events))
    }

    mutating func settle(_ events: Int, _ fate: Fate, of run: ScopeKey) {
        guard events > 0 else { return }
        if let last = settled.indices.last, settled[last].run == run, settled[last].fate == fate {
            settled[last].events += events
        } else {
            settled.append(Settled(run: run, fate: fate, events: events))
        }
    }
}
