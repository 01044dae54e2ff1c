internal import ATOF

/// The scopes that have started and not ended, also in the order of their starts.
struct OpenSpans: Sendable {
    private var spans: [ScopeKey: OpenSpan] = [:]
    /// Slots of spans that ended are skipped, and cleared away in bulk.
    private var order: [Slot] = []
    /// The first slot whose span may hold its payload.
    private var firstHeld = 0
    /// Packed bytes of the events whose payloads are held.
    private(set) var heldBytes = 0

    private struct Slot {
        let key: ScopeKey
        let reference: EventReference
    }

    var count: Int { spans.count }

    var inOrder: [OpenSpan] { order.compactMap { isOpen($0) ? spans[$0.key] : nil } }

    /// The first event that is still needed. Looks at all spans.
    var firstReference: EventReference? { spans.values.lazy.filter { !$0.isExpired }.map(\.firstReference).min() }

    /// What decisions about other events need of a span. (A copy of the span would make its next change copy its lists.)
    struct Facts {
        let run: ScopeKey
        let reference: EventReference
        let isExpired: Bool
        let awaitsRoot: Bool
        let traceID: EventUUID
        let marks: Int
    }

    func facts(of key: ScopeKey) -> Facts? {
        guard let index = spans.index(forKey: key) else { return nil }
        return spans.values[index].facts
    }

    /// The events that have to be read again to make the span.
    func unheld(_ key: ScopeKey) -> [EventReference] {
        guard let index = spans.index(forKey: key), spans.values[index].payload == nil else { return [] }
        let span = spans.values[index]
        return span.isExpired ? [] : [span.reference] + span.marks
    }

    func context(of key: ScopeKey) -> SpanContext? {
        guard let index = spans.index(forKey: key) else { return nil }
        return spans.values[index].context
    }

    mutating func insert(_ span: OpenSpan) {
        spans[span.key] = span
        heldBytes += span.heldBytes
        order.append(Slot(key: span.key, reference: span.reference))
        if order.count > 2 * spans.count + 1024 {
            order = order.filter(isOpen)
            firstHeld = 0
        }
    }

    mutating func remove(_ key: ScopeKey) -> OpenSpan? {
        guard let span = spans.removeValue(forKey: key) else { return nil }
        heldBytes -= span.heldBytes
        return span
    }

    /// Changes a span in its place, if it is open.
    mutating func update(_ key: ScopeKey, _ change: (inout OpenSpan) -> Void) {
        guard let index = spans.index(forKey: key) else { return }
        heldBytes -= spans.values[index].heldBytes
        change(&spans.values[index])
        heldBytes += spans.values[index].heldBytes
    }

    /// Drops payloads, of the oldest spans first, until so many bytes are held.
    ///
    /// - Returns: how many spans lost theirs.
    mutating func unload(downTo bytes: Int) -> Int {
        var count = 0
        while heldBytes > bytes, firstHeld < order.count {
            if isOpen(order[firstHeld]) {
                update(order[firstHeld].key) { span in
                    if span.payload != nil { count += 1 }
                    span.payload = nil
                    span.heldBytes = 0
                }
            }
            firstHeld += 1
        }
        return count
    }

    private func isOpen(_ slot: Slot) -> Bool {
        spans.index(forKey: slot.key).map { spans.values[$0].reference == slot.reference } ?? false
    }
}

extension OpenSpan {
    fileprivate var facts: OpenSpans.Facts {
        OpenSpans.Facts(
            run: run, reference: reference, isExpired: isExpired, awaitsRoot: awaitsRoot, traceID: context.traceID,
            marks: marks.count)
    }
}
