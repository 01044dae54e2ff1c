/// A file of the spool. They are in the order of their events: what has the lower number was appended before.
package struct SpoolSegmentID: Sendable, Hashable, Comparable {
    /// Which run of a program has written it; the present one has the highest.
    package let source: Int
    package let number: Int64

    package init(source: Int, number: Int64) {
        self.source = source
        self.number = number
    }

    package static func < (left: SpoolSegmentID, right: SpoolSegmentID) -> Bool {
        (left.source, left.number) < (right.source, right.number)
    }
}

/// A file that was there when the publisher started.
package struct FoundSegment: Sendable {
    package let id: SpoolSegmentID
    /// Up to the last whole record.
    package let bytes: Int
    package let records: Int
    package let events: Int

    package init(id: SpoolSegmentID, bytes: Int, records: Int, events: Int) {
        self.id = id
        self.bytes = bytes
        self.records = records
        self.events = events
    }
}
