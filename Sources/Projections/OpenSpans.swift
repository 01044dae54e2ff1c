internal import ATOF

/// The scopes that have started and not ended, also in the order of their starts.
struct OpenSpans: Sendable {
    private var spans: [EventUUID: OpenSpan] = [:]
    /// The first slot, at `head`, is always of an open span; those of spans that ended later are skipped and cleared
    /// away in bulk.
    private var order: [Slot] = []
    private var head = 0

    private struct Slot {
        let uuid: EventUUID
        let reference: EventReference
    }

    var count: Int { spans.count }
    var oldest: OpenSpan? { head < order.count ? spans[order[head].uuid] : nil }

    var inOrder: [OpenSpan] { order[head...].compactMap { isOpen($0) ? spans[$0.uuid] : nil } }

    func context(of uuid: EventUUID?) -> SpanContext? {
        guard let uuid, let index = spans.index(forKey: uuid) else { return nil }
        return spans.values[index].context
    }

    mutating func insert(_ span: OpenSpan) {
        spans[span.uuid] = span
        order.append(Slot(uuid: span.uuid, reference: span.reference))
        if order.count > 2 * spans.count + 1024 {
            order = order[head...].filter(isOpen)
            head = 0
        }
    }

    mutating func remove(_ uuid: EventUUID) -> OpenSpan? {
        guard let span = spans.removeValue(forKey: uuid) else { return nil }
        while head < order.count, !isOpen(order[head]) { head += 1 }
        return span
    }

    /// Changes a span in its place, if it is open.
    mutating func update(_ uuid: EventUUID?, _ change: (inout OpenSpan) -> Void) {
        guard let uuid, let index = spans.index(forKey: uuid) else { return }
        change(&spans.values[index])
    }

    private func isOpen(_ slot: Slot) -> Bool {
        spans.index(forKey: slot.uuid).map { spans.values[$0].reference == slot.reference } ?? false
    }
}
